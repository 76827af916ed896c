package pool

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// goodbye is how long a connection that is closed while idle may take to notice: closing
// it with unread bytes in its buffer would reset it, and a reset can overtake an answer.
const goodbye = time.Second

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

	// Guarded by connSet.mu.
	place     link[*conn]
	idleSince time.Time // zero: since before the drain
	upgraded  *Request  // what it was hijacked by

	waited atomic.Bool // its first request has no patience left

	row      atomic.Int32 // which row its bytes are counted in
	quiet    atomic.Bool  // not a byte was read since the accept, or since it went idle
	expired  atomic.Bool  // the drain is done with waiting for a byte
	hijacked atomic.Bool
	closed   atomic.Bool

	readUntil  atomic.Int64 // the server's own read deadline, Unix nanoseconds; 0: none
	writeLimit limit
}

func (p *Pool) newConn(inner net.Conn, grace time.Duration) *conn {
	c := &conn{Conn: inner, pool: p, kept: grace > 0, grace: grace, reserved: noSlot}
	c.softPlace.owner, c.place.owner, c.ctx.conn = c, c, c
	c.quiet.Store(true)
	return c
}

// Read counts, and lets an idle connection go when the drain has waited long enough.
//
// Only the reader itself may decide that a connection is idle: whoever else looked would
// find nothing in the moment between the kernel's buffer and the server's.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for err != nil && c.expired.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		if c.quiet.Load() {
			n, err = c.lastLook(b)
			break
		}
		// It went to work while it was being expired.
		c.restoreDeadline()
		n, err = c.Conn.Read(b)
	}
	if n > 0 {
		if c.quiet.Load() {
			c.quiet.Store(false)
		}
		c.pool.rows[c.row.Load()].AddRx(int64(n))
	}
	return n, err
}

// lastLook returns what arrived in the moment of the expiry. If nothing did, the client
// is told that no answer will come any more, and is given time to see it.
func (c *conn) lastLook(b []byte) (int, error) {
	c.expired.Store(false)
	if n := c.readNow(b); n > 0 {
		c.restoreDeadline()
		return n, nil
	}
	if err := c.CloseWrite(); err != nil {
		return 0, io.EOF // nothing to wait for: the close itself is all the client will see
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(goodbye))
	for {
		if _, err := c.Conn.Read(b); err != nil {
			return 0, io.EOF // an ordinary end, for which no server logs anything
		}
	}
}

// readNow reads what is there, without waiting.
func (c *conn) readNow(b []byte) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	// RawConn.Read refuses to begin after a deadline.
	if err := c.Conn.SetReadDeadline(time.Time{}); err != nil {
		return 0
	}
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, _ = syscall.Read(int(fd), b) // EAGAIN, or an end that the close will show as well
		return true
	})
	if err != nil {
		return 0
	}
	return n
}

// expire asks the reader to stop waiting, if it waits.
func (c *conn) expire() {
	c.expired.Store(true)
	_ = c.Conn.SetReadDeadline(longAgo)
}

// SetReadDeadline must not undo expire: the server sets the deadline of its next wait
// after it said that the connection is idle.
func (c *conn) SetReadDeadline(t time.Time) error {
	until := int64(0)
	if !t.IsZero() {
		until = t.UnixNano()
	}
	c.readUntil.Store(until)
	err := c.Conn.SetReadDeadline(t)
	if c.expired.Load() {
		return c.Conn.SetReadDeadline(longAgo)
	}
	return err
}

// restoreDeadline takes expire back. net/http interrupts its own reads with a deadline
// and waits for them: that wish, too, must not be lost.
func (c *conn) restoreDeadline() {
	c.expired.Store(false)
	for {
		until := c.readUntil.Load()
		t := time.Time{}
		if until != 0 {
			t = time.Unix(0, until)
		}
		_ = c.Conn.SetReadDeadline(t)
		if c.readUntil.Load() == until {
			return // whoever changes it now sets the deadline after us
		}
	}
}

// active says that the head of a request has been read.
func (c *conn) active() {
	c.quiet.Store(false)
	if c.expired.Load() {
		c.restoreDeadline() // the whole head was in the server's buffer: Read had no say
	}
}

// idle says that the response is written and the next request may come.
func (c *conn) idle() {
	c.expired.Store(false)
	c.quiet.Store(true)
	if c.pool.draining.Load() {
		c.pool.conns.setIdle(c, time.Now())
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

// connContext carries the connection to the handler. It is part of the conn: a
// context.WithValue would be an allocation for every connection.
type connContext struct {
	context.Context
	conn *conn
}

type connKey struct{}

func (c *connContext) Value(key any) any {
	if key == (connKey{}) {
		return c.conn
	}
	return c.Context.Value(key)
}

// connOf finds the connection of a request; nil if it came through no gate.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

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
