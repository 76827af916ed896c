package pool

import (
	"context"
	"errors"
	"time"
)

// Drain ends the pool's work without losing a request, in two phases. http.Server.Shutdown
// is no part of it: that drops requests it has already read.
//
//  1. At once: the gates close. What they accepted is served. Responses to connections
//     that are kept alive say "Connection: close".
//  2. An idle connection stays open, because its client may be sending at this moment; its
//     next request is served and answered with the close. Once it has been silent for
//     linger, which ShortenLinger can lower meanwhile, it is closed.
//
// Hijacked connections are their handlers' to close, who can wait for Draining; for those
// that stay there is EndUpgrades. EndRequests is for requests that run on and on.
//
// Drain returns when no connection and no handler is left; with ErrStuck if all that is left
// are requests that nobody waits for, see Limits; or with the error of ctx. Then InFlight names
// what is left and CloseConns cuts it. It is called once.
func (p *Pool) Drain(ctx context.Context, linger time.Duration) error {
	began := time.Now()
	p.ShortenLinger(linger)
	p.draining.Store(true)
	for _, g := range p.admission.close() {
		// Closing gives up this process's descriptor only. shutdown(2) would stop the
		// listener in every process that shares it.
		_ = g.Listener.Close()
	}
	close(p.drainBegan) // not before: who is sent away must not come in again
	for !p.empty() {
		if err := p.awaitNews(ctx, p.conns.expireIdle(began, p.lingerNow())); err != nil {
			return err
		}
	}
	if p.stuck.len() > 0 {
		return ErrStuck
	}
	return nil
}

// ErrStuck ends a drain that has finished everything but requests that are stuck.
var ErrStuck = errors.New("all that is left are requests that are over their limit and do not return")

// ShortenLinger has the Drain that runs, or will, wait no longer than linger for an idle
// connection. A longer one than it has changes nothing.
func (p *Pool) ShortenLinger(linger time.Duration) {
	for now := p.linger.Load(); int64(linger) < now; now = p.linger.Load() {
		if p.linger.CompareAndSwap(now, int64(linger)) {
			p.tell()
			return
		}
	}
}

func (p *Pool) lingerNow() time.Duration { return time.Duration(p.linger.Load()) }

// AwaitHandlers returns when no handler runs, or with the error of ctx. It is for after
// CloseConns: what a handler still does, its line in the access log included, it does in
// the life of the application.
func (p *Pool) AwaitHandlers(ctx context.Context) error {
	for p.handlers.Load() > 0 {
		if err := p.awaitNews(ctx, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// awaitNews waits until something may have changed, at most until next.
func (p *Pool) awaitNews(ctx context.Context, next time.Time) error {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-p.news:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// empty looks in the order in which work moves, so that nothing slips past: from a gate
// to its connection to a handler.
func (p *Pool) empty() bool {
	if p.admission.busyGates() > 0 {
		return false
	}
	if stuck := p.stuck.len(); stuck > 0 {
		return p.conns.waitedFor() == 0 && p.handlers.Load() == int64(stuck)
	}
	return p.conns.len() == 0 && p.handlers.Load() == 0
}

// Request is one that runs, or one whose connection was hijacked and is still open.
type Request struct {
	Slot               int // -1: hijacked
	ID                 uint64
	Start              time.Time
	Method, Path, Peer string // no query string
}

// InFlight lists the requests that run, and the hijacked connections.
func (p *Pool) InFlight() []Request {
	var list []Request
	for _, r := range p.opts.Page.InFlight() {
		list = append(list, Request{Slot: r.Slot, ID: r.ID, Start: r.Start, Method: r.Method, Path: r.Path, Peer: r.Peer})
	}
	return append(list, p.conns.upgraded()...)
}

// CloseConns closes every connection at once, and says how many there were. Handlers
// notice by their context or their next read or write; AwaitHandlers waits for them.
func (p *Pool) CloseConns() int {
	conns := p.conns.all()
	for _, c := range conns {
		_ = c.Close() // an error means that it was closed already
	}
	return len(conns)
}
