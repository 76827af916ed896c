package pool

import "context"

// Draining gives a channel that is closed when the pool behind ctx, the context of a
// request, begins to drain. Its gates are closed by then: a client that is sent away and
// comes again meets another process, if there is one. The channel is nil, and never ready,
// if the request came through no gate.
//
// It is for whoever has no end of his own: a hijacked connection, an event stream. It
// holds when ctx has ended, because that is what the context of a hijacked request does
// when its handler returns.
func Draining(ctx context.Context) <-chan struct{} {
	if c := connOf(ctx); c != nil {
		return c.pool.drainBegan
	}
	return nil
}

// Draining is the same channel for whoever has the pool itself.
func (p *Pool) Draining() <-chan struct{} { return p.drainBegan }

// upgrade notes that c left the server by r.
//
// The page hears of the beginning first: a connection that is closed at this moment must
// not have ended before it began.
func (p *Pool) upgrade(c *conn, r Request) {
	p.opts.Page.BeginUpgrade()
	if open, refused := p.conns.hijack(c, r); !open {
		p.opts.Page.EndUpgrade()
	} else if refused {
		_ = c.Close()
	}
}

// EndUpgrades closes the hijacked connections and says how many there were. From now on a
// connection that is hijacked is closed at once: the drain serves requests to its end, and
// some of them are upgrades.
func (p *Pool) EndUpgrades() int {
	conns := p.conns.endUpgrades()
	for _, c := range conns {
		_ = c.Close() // an error means that it was closed already
	}
	return len(conns)
}
