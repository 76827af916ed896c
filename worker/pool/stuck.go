package pool

import (
	"maps"
	"slices"
	"sync"
)

// stuckSet is the requests that are stuck.
type stuckSet struct {
	mu  sync.Mutex
	all map[*timed]struct{}
}

func (s *stuckSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// stick notes that a request is stuck, or with -1 that it is not any more.
func (p *Pool) stick(t *timed, n int32) {
	p.stuck.mu.Lock()
	if n > 0 {
		p.stuck.all[t] = struct{}{}
	} else {
		delete(p.stuck.all, t)
	}
	p.stuck.mu.Unlock()
	if c := t.res.conn; c != nil {
		c.stuck.Add(n)
	}
	p.tell()
}

// AbandonStuck counts the requests that are stuck, with the answer they got. It is for the
// end of the process: what they do after that is nobody's business.
func (p *Pool) AbandonStuck() {
	p.stuck.mu.Lock()
	all := slices.Collect(maps.Keys(p.stuck.all))
	p.stuck.mu.Unlock()
	for _, t := range all {
		t.abandon()
	}
}

// running is what the page shows of a request, as long as it has its slot.
func (p *Pool) running(res *response) (Request, bool) {
	for _, r := range p.opts.Page.InFlight() {
		if r.ID == res.id {
			return Request{Slot: r.Slot, ID: r.ID, Start: r.Start, Method: r.Method, Path: r.Path, Peer: r.Peer}, true
		}
	}
	return Request{}, false
}
