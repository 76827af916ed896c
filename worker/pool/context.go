package pool

import (
	"context"
	"errors"
	"net"
)

// ErrDraining is the cause with which EndRequests ends the contexts of requests. Handlers
// branch on it: there is time for a last word.
var ErrDraining = errors.New("the worker drains, and its time is almost over")

// ending is the end of every request's context. It is one for all, and a connection's
// context shows it as its own: then the context package enters what is derived from that in
// one map, which costs neither memory nor a goroutine. net/http derives once for each
// connection, package uwsgi when a handler looks.
type ending struct {
	context.Context
	end context.CancelCauseFunc
}

func newEnding() ending {
	ctx, end := context.WithCancelCause(context.Background())
	return ending{ctx, end}
}

// EndRequests ends the contexts of the requests that run, by ErrDraining, and says how many
// there are. They may write what they like until CloseConns.
//
// A request that has no slot by now will not get one and is answered 503: it would begin
// with an ended context, and fail in a way that nobody takes for "ask again". So there is
// nothing to keep an idle connection for either: the linger is over.
func (p *Pool) EndRequests() int {
	p.admission.end() // first: who still gets a slot is told as well
	running := len(p.opts.Page.InFlight())
	p.ending.end(ErrDraining)
	p.ShortenLinger(0)
	return running
}

// ConnContext belongs into the field of the same name of the server that serves a gate:
// the handler finds the connection, and its reservation, through it. ctx is the server's
// own, of which only the values count.
func (p *Pool) ConnContext(ctx context.Context, nc net.Conn) context.Context {
	c := unwrap(nc)
	if c == nil {
		return ctx
	}
	if c.ctx.Context != nil {
		// It came to its server a second time, and somebody may still hold the context of
		// a request of the first.
		return &connContext{Context: ctx, conn: c}
	}
	c.ctx.Context = ctx
	return &c.ctx
}

// connContext carries the connection to the handler, and ends with its pool's ending. It is
// part of the conn: a context.WithValue would be an allocation for every connection.
type connContext struct {
	context.Context
	conn *conn
}

func (c *connContext) Done() <-chan struct{} { return c.conn.pool.ending.Done() }

func (c *connContext) Err() error { return c.conn.pool.ending.Err() }

type connKey struct{}

// Value asks the ending first: the context package looks there, by a key of its own, for
// what the channel of Done belongs to.
func (c *connContext) Value(key any) any {
	if key == (connKey{}) {
		return c.conn
	}
	if v := c.conn.pool.ending.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// connOf finds the connection of a request; nil if it came through no gate.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
