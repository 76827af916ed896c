package endpoint

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// conns bounds how many connections are open. The limit is kept by closing the one on
// which nothing has moved for longest, not by refusing the new one: clients that connect
// and never read would otherwise keep everybody out for as long as they like, and this
// address is what an operator looks at when something is wrong.
type conns struct {
	limit int            // fixed
	shed  *atomic.Uint64 // fixed; its number is others' too

	mu   sync.Mutex // never held while a client is waited for
	open map[*conn]struct{}
}

func newConns(limit int, shed *atomic.Uint64) *conns {
	return &conns{limit: limit, shed: shed, open: make(map[*conn]struct{})}
}

// admit takes c in, and somebody else out if there is no room.
func (s *conns) admit(c net.Conn) *conn {
	fresh := &conn{Conn: c, of: s}
	fresh.touch()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limit {
		out := s.stalest()
		delete(s.open, out)
		_ = out.Conn.Close() // whoever serves it notices, and calls its Close
		s.shed.Add(1)
	}
	s.open[fresh] = struct{}{}
	return fresh
}

// stalest needs the lock, and at least one connection. Those for whom something is being
// made come last: nothing moves on them meanwhile, and that is not their doing.
func (s *conns) stalest() *conn {
	var found *conn
	for c := range s.open {
		if found == nil || c.staler(found) {
			found = c
		}
	}
	return found
}

func (c *conn) staler(than *conn) bool {
	if served, other := c.served.Load() > 0, than.served.Load() > 0; served != other {
		return other
	}
	return c.moved.Load() < than.moved.Load()
}

// connKey finds the *conn of a request.
type connKey struct{}

// making notes, until done is called, that an answer to r is being made.
func making(r *http.Request) (done func()) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return func() {}
	}
	c.served.Add(1)
	return func() { c.touch(); c.served.Add(-1) }
}

func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// cut closes whatever is open.
func (s *conns) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Conn.Close()
	}
}

// conn is a client. What was read to find out what it speaks is read again.
type conn struct {
	net.Conn
	of    *conns
	moved atomic.Int64 // when a byte last went either way, in nanoseconds of the epoch

	served atomic.Int32 // answers that are being made for it

	ahead []byte // read already; owned by the one goroutine that reads
}

func (c *conn) touch() { c.moved.Store(time.Now().UnixNano()) }

func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.touch()
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.touch()
	}
	return n, err
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// closeWrite says that nothing more comes, while what the client still sends is read.
func (c *conn) closeWrite() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok { // TCP and unix sockets are
		_ = half.CloseWrite()
	}
}
