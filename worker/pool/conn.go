package pool

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection that came through a gate.
type conn struct {
	net.Conn
	pool  *Pool
	kept  bool // more than one request may come
	grace time.Duration
	ctx   connContext // what ConnContext gives out

	// Guarded by admission.mu.
	reserved  int       // the slot it was accepted for, or noSlot
	graceEnds time.Time // of a soft reservation
	softPlace link[*conn]
	late      bool // it may have waited in the kernel, and has shown no request
	unseen    bool // counted in admission.unseen

	// Guarded by connSet.mu.
	place     link[*conn]
	idleSince time.Time // zero: since before the drain
	upgraded  *Request  // what it was hijacked by

	waited atomic.Bool // its first request has no patience left

	shared  atomic.Bool // several requests at a time: HTTP/2
	writing sync.Mutex  // held while a shared one is written to

	row      atomic.Int32 // which row its bytes are counted in
	quiet    atomic.Bool  // not a byte was read since the accept, or since it went idle
	expired  atomic.Bool  // the drain is done with waiting for a byte
	hijacked atomic.Bool
	stuck    atomic.Int32 // requests on it that nobody waits for
	closed   atomic.Bool

	deadline   readDeadline
	writeLimit limit
}

func (p *Pool) newConn(inner net.Conn, grace time.Duration) *conn {
	c := &conn{Conn: inner, pool: p, kept: grace > 0, grace: grace, reserved: noSlot}
	c.softPlace.owner, c.place.owner, c.ctx.conn = c, c, c
	c.quiet.Store(true)
	return c
}

// Read counts, and lets an idle connection go when the drain has waited long enough.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.read(b)
	for err != nil {
		again, leave := c.goOn(err)
		if leave {
			n, err = c.lastLook(b)
			break
		}
		if !again {
			break
		}
		n, err = c.read(b)
	}
	if n > 0 {
		if c.quiet.Load() {
			c.quiet.Store(false)
		}
		c.pool.rows[c.row.Load()].AddRx(int64(n))
	}
	return n, err
}

// active says that the head of a request has been read.
func (c *conn) active() {
	c.quiet.Store(false)
	if c.expired.Load() {
		c.expired.Store(false) // the whole head was in the server's buffer: Read had no say
	}
}

// idle says that the response is written and the next request may come.
func (c *conn) idle() {
	if c.expired.Load() {
		c.expired.Store(false)
	}
	draining := c.pool.draining.Load()
	if draining {
		c.pool.conns.setIdle(c, time.Now()) // first: once it is quiet, it may be expired
	}
	c.quiet.Store(true)
	if draining {
		c.pool.tell()
	}
}

// Close gives back what the connection still holds. The server closes every connection
// once, but so may CloseConns and a hijacker.
func (c *conn) Close() error {
	err := c.Conn.Close()
	if c.closed.Swap(true) {
		return err
	}
	c.pool.admission.drop(c)
	if upgraded := c.pool.conns.remove(c); upgraded { // after the close: when Drain returns, no socket is open
		c.pool.opts.Page.EndUpgrade()
	}
	c.pool.tell()
	return err
}

// Answered is the word of a server that no handler will run for the connection, though it
// stays open for its peer's sake: what it holds is somebody else's now.
func (c *conn) Answered() { c.pool.admission.drop(c) }

// CloseWrite shuts down the writing side.
func (c *conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn gives access to the socket.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// NetConn gives the connection as the listener made it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// unwrap finds our connection under the server's view of it, such as a *tls.Conn.
func unwrap(nc net.Conn) *conn {
	for {
		if c, ok := nc.(*conn); ok {
			return c
		}
		w, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = w.NetConn()
	}
}
