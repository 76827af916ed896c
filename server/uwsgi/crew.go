package uwsgi

import (
	"net"
	"sync"
)

// idleMost is how many goroutines stand by at a listener. They keep their stacks, which
// have grown to what a handler needs.
const idleMost = 32

// crew is the goroutines that serve the connections of one listener. One of them leads: it
// waits for a connection, calls another one to lead, and serves the connection itself.
//
// Who was called runs when the server of a connection has to wait for something, or on a
// processor that is free. Under load neither happens: the leader is done first and goes on
// leading, so that a request costs no switch of goroutines at all.
type crew struct {
	srv *Server
	l   net.Listener

	mu      sync.Mutex
	leading bool            // somebody waits for a connection
	called  bool            // somebody is on the way to lead
	idle    []chan struct{} // who stands by, each with a channel of its own
	err     error           // why nobody leads any more

	over chan struct{} // closed when err is set
}

// serveCrew returns when the listener has failed. Connections in progress go on.
func (s *Server) serveCrew(l net.Listener) error {
	c := &crew{srv: s, l: l, over: make(chan struct{})}
	go c.work()
	<-c.over
	return c.err
}

// work is the life of one goroutine. It may end with any connection: a handler may call
// runtime.Goexit.
func (c *crew) work() {
	turn := make(chan struct{}, 1)
	for c.lead(turn) {
		rwc, err := c.srv.accept(c.l)
		if err != nil {
			c.end(err)
			return
		}
		conn := c.srv.newConn(rwc)
		c.handOver()
		conn.serve()
	}
}

// lead returns when the caller is to accept a connection; false if it is not needed any
// more.
func (c *crew) lead(turn chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.leading && c.err == nil {
		if len(c.idle) >= idleMost {
			return false
		}
		c.idle = append(c.idle, turn)
		c.mu.Unlock()
		<-turn
		c.mu.Lock()
		c.called = false
	}
	c.leading = true
	return c.err == nil
}

// handOver calls a successor, unless one has been called that has not come yet.
func (c *crew) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leading = false
	if c.called {
		return
	}
	c.called = true
	last := len(c.idle) - 1
	if last < 0 {
		go c.join()
		return
	}
	c.idle[last] <- struct{}{} // whose stack is warm
	c.idle = c.idle[:last]
}

// join is work for a new goroutine.
func (c *crew) join() {
	c.mu.Lock()
	c.called = false
	c.mu.Unlock()
	c.work()
}

// end sends everybody home.
func (c *crew) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for _, turn := range c.idle {
		turn <- struct{}{}
	}
	c.idle = nil
	close(c.over)
}
