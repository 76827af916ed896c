package parking

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/server/strict"
)

// waiter is the connection somewhere below that can wait without a buffer. It has to know
// about the wait: a drain ends it.
type waiter interface{ AwaitRead() error }

// below finds it; nil if there is none, and then the connection is never parked.
func below(nc net.Conn) waiter {
	for {
		if w, ok := nc.(waiter); ok {
			return w
		}
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = inner.NetConn()
	}
}

// Conn is a connection that may leave the server and come back.
type Conn struct {
	*strict.Conn
	lot   *Lot
	id    uint64
	below waiter

	idle    atomic.Bool  // the server waits for a request and has not a byte of it
	until   atomic.Int64 // the server's own deadline for that, since Lot.epoch
	leaving atomic.Bool  // the server was told that it ended: the next Close parks it

	// Guarded by Lot.mu, while it is parked.
	watched bool        // and has no goroutine
	alarm   *time.Timer // for the end of its time
}

// Listener wraps the connections of ln, which are those of a strict.Listener.
func (l *Lot) Listener(ln net.Listener) net.Listener { return &listener{Listener: ln, lot: l} }

type listener struct {
	net.Listener
	lot *Lot
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c, ok := nc.(*strict.Conn)
	if !ok {
		return nc, nil
	}
	return &Conn{Conn: c, lot: l.lot, id: l.lot.ids.Add(1), below: below(c)}, nil
}

// ConnState has to be called by the function in the field of the same name of the server.
func ConnState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*Conn)
	if !ok || c.below == nil {
		return
	}
	switch state {
	case http.StateIdle:
		if !c.idle.Swap(true) {
			c.lot.idle.Add(1)
		}
	case http.StateActive, http.StateHijacked:
		c.notIdle()
	}
}

func (c *Conn) notIdle() {
	if c.idle.Load() && c.idle.Swap(false) {
		c.lot.idle.Add(-1)
	}
}

// SetReadDeadline recognises the server's limit for the wait for a request, and has the
// wait look up earlier.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.idle.Load() && !t.IsZero() {
		c.until.Store(int64(t.Sub(c.lot.epoch)))
		if early := t.Add(c.lot.patience() - c.lot.opts.IdleTimeout); early.Before(t) {
			t = early
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// Read is the server's. One that met nothing but our deadline ends the connection, as far
// as the server is concerned. With any byte of a request, the server's own deadline holds
// again: it sets the next one only when it has four.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.idle.Load() {
		return n, err
	}
	c.notIdle()
	early := n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(c.lot.epoch) < time.Duration(c.until.Load())
	if early && c.Empty() {
		c.leaving.Store(true)
		return 0, io.EOF
	}
	_ = c.Conn.SetReadDeadline(c.limit())
	if early { // the server has a byte already: it took one while the last handler ran
		return c.Conn.Read(p)
	}
	return n, err
}

// limit is when the server gives up waiting for a request.
func (c *Conn) limit() time.Time {
	if until := c.until.Load(); until != 0 {
		return c.lot.epoch.Add(time.Duration(until))
	}
	return time.Time{}
}

// Close is the server's, or that of whoever cuts connections. Between the end that the
// server was told of and its Close there is nobody who could tell them apart: then the
// connection is parked, and whoever wants it cut finds it in the Lot.
func (c *Conn) Close() error {
	if c.leaving.Swap(false) && c.lot.take(c) {
		return nil
	}
	c.notIdle()
	return c.Conn.Close()
}
