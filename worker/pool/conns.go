package pool

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connSet is every connection that came through a gate and is not closed.
type connSet struct {
	mu         sync.Mutex
	open       list[*conn]
	noUpgrades bool // a connection that is hijacked is to be closed
}

func (s *connSet) add(c *conn) {
	s.mu.Lock()
	s.open.pushBack(&c.place)
	s.mu.Unlock()
}

// remove reports whether c was hijacked.
func (s *connSet) remove(c *conn) (upgraded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.remove(&c.place)
	return c.upgraded != nil
}

func (s *connSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open.n
}

// waitedFor is how many of them have no request that is stuck.
func (s *connSet) waitedFor() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open.all {
		if c.stuck.Load() == 0 {
			n++
		}
	}
	return n
}

func (s *connSet) setIdle(c *conn, since time.Time) {
	s.mu.Lock()
	c.idleSince = since
	s.mu.Unlock()
}

// settle is how long a shared connection lingers at least: net/http says of HTTP/2 that it is
// idle when the end of the last answer still waits in a buffer.
const settle = 100 * time.Millisecond

// expireIdle expires the connections that were idle for linger, counted from the
// beginning of the drain at the earliest. It returns when the next one is due, or zero.
func (s *connSet) expireIdle(began time.Time, linger time.Duration) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open.all {
		if !c.kept || !c.quiet.Load() || c.expired.Load() || c.hijacked.Load() {
			continue
		}
		since := began
		if c.idleSince.After(began) {
			since = c.idleSince
		}
		due := since.Add(linger)
		if c.shared.Load() {
			due = since.Add(max(linger, settle))
		}
		if !time.Now().Before(due) {
			c.expire()
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

func (s *connSet) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, s.open.n)
	for c := range s.open.all {
		list = append(list, c)
	}
	return list
}

// upgraded lists the requests whose connections were hijacked and are still open.
func (s *connSet) upgraded() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Request
	for c := range s.open.all {
		if c.upgraded != nil {
			list = append(list, *c.upgraded)
		}
	}
	return list
}

// hijack notes that c left the server by r, unless c is not open any more. It reports
// whether no upgrades are wanted.
func (s *connSet) hijack(c *conn, r Request) (open, refused bool) {
	c.hijacked.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.place.in {
		c.upgraded = &r
	}
	return c.place.in, s.noUpgrades
}

// endUpgrades lists the hijacked connections, and has hijack refuse further ones.
func (s *connSet) endUpgrades() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noUpgrades = true
	var list []*conn
	for c := range s.open.all {
		if c.upgraded != nil {
			list = append(list, c)
		}
	}
	return list
}

// ConnState belongs into the field of the same name of an *http.Server: the drain has to
// know which connections wait for a request.
func (p *Pool) ConnState(nc net.Conn, state http.ConnState) {
	c := unwrap(nc)
	if c == nil {
		return
	}
	switch state {
	case http.StateActive:
		c.active()
	case http.StateIdle:
		c.idle()
	case http.StateHijacked:
		c.hijacked.Store(true)
	}
}
