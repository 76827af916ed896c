package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// drain ends the service within ask.Timeout:
//
//  0. what it holds in memory is written down, if that is why it goes
//  1. the application's context ends, so that its background work can stop
//  2. the pool drains: see pool.Pool.Drain
//  3. upgraded connections that stay are closed after UpgradeMercy
//  4. shortly before the limit the contexts of requests end, by pool.ErrDraining
//  5. what is left at the limit is named and cut
//  6. the servers are closed and joined, and handlers that were cut get a moment to end
//  7. the last metrics are sent
//  8. the application is closed, and what it left running is named
func (l *life) drain(ask control.Drain) error {
	if err := l.move(Draining); err != nil {
		return err
	}
	began := time.Now()
	l.writeHeap(ask.HeapProfile)
	l.endAppCtx()

	err := l.drainPool(ask)
	if err != nil {
		err = l.cut(err, time.Since(began))
	}
	for _, srv := range l.servers {
		_ = srv.Close() // only idle remains of connections it could complain about
	}
	l.serving.Wait()
	l.awaitHandlers(max(reserve(ask.Timeout)/2, cutMercy))
	l.pool.AbandonStuck()
	l.endReporter(max(min(ask.Timeout-time.Since(began), lastGather), cutMercy))
	err = errors.Join(err, l.closeApp(ask.Timeout-time.Since(began)))
	l.reportLeaks()
	l.log.Debug("drained", "took", time.Since(began))
	return errors.Join(err, l.move(Done))
}

// cutMercy is what handlers that were cut get to end, however short the drain.
const cutMercy = 100 * time.Millisecond

// awaitHandlers waits for handlers that were cut: most see their context end, and return.
// One that does not must not keep the application from being closed in order.
func (l *life) awaitHandlers(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- l.pool.AwaitHandlers(ctx) }()
	if err, ok := patience(l, ended, limit); err != nil || !ok {
		l.log.Warn("handlers still run while the application is closed, they ignore that their requests were cut")
	}
}

// drainPool returns an error if something is left at the limit.
func (l *life) drainPool(ask control.Drain) error {
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	due := newAlarms(l.momentsOf(ask.Timeout))
	defer due.stop()

	drained := make(chan error, 1)
	linger := min(ask.Linger, ask.Timeout/2) // a longer one would cut idle connections and call it a failure
	go func() { drained <- l.pool.Drain(ctx, linger) }()
	for {
		select {
		case err := <-drained:
			return err
		case <-due.upgrades.C:
			l.endUpgrades()
		case <-due.requests.C:
			l.endUpgrades() // first: their contexts end with the others
			l.endRequests(time.Until(due.at.cut))
		case <-due.cut.C:
			cut()
		case ev := <-l.inbox.events:
			if ev.kind == drainAsked { // a stop that comes while a reload's drain runs
				l.pool.ShortenLinger(ev.drain.Linger)
			}
			if now, within := l.hurry(ev); now {
				cut()
			} else if within > 0 {
				due.hurry(l.momentsOf(within))
			}
		}
	}
}

// endUpgrades is no failure of the drain: nobody knows when a websocket is finished, and
// the application was told when the drain began.
func (l *life) endUpgrades() {
	if n := l.pool.EndUpgrades(); n > 0 {
		l.log.Info("upgraded connections closed, their mercy is over", "connections", n)
	}
}

// endRequests gives the requests that run the time that is left for a last word. If there is
// none, cut tells them.
func (l *life) endRequests(left time.Duration) {
	if left <= 0 {
		return
	}
	if n := l.pool.EndRequests(); n > 0 {
		l.log.Info("requests told that the drain ends", "requests", n, "left", left.Round(time.Millisecond))
	}
}

// hurry judges what happens during a drain: a reason to cut it now, or to end it within
// some time (zero: neither).
func (l *life) hurry(ev event) (now bool, within time.Duration) {
	switch ev.kind {
	case termCame:
		// systemd signals the whole group, so the first one may be the echo of the stop
		// that began this drain.
		l.terms++
		return l.terms > 1, 0
	case cutAsked:
		return true, 0
	case drainAsked:
		return ev.drain.Timeout <= 0, ev.drain.Timeout
	case masterGone:
		l.orphan = true
		l.log.Warn("master is gone", "error", ev.err)
		return false, l.setup.Mercy
	case reopenAsked:
		l.reopenLogs()
	}
	return false, 0
}

// cut names what is left and closes every connection.
func (l *life) cut(why error, after time.Duration) error {
	what := "request cut by the drain limit"
	if errors.Is(why, pool.ErrStuck) {
		what = "request cut, it is stuck and all others are finished"
	}
	left := l.pool.InFlight()
	for _, r := range left {
		l.log.Warn(what, "method", r.Method, "path", r.Path, "peer", r.Peer,
			"age", time.Since(r.Start).Round(time.Millisecond), "upgraded", r.Slot < 0)
	}
	conns := l.pool.CloseConns()
	l.pool.EndRequests() // a handler that neither reads nor writes does not notice a close
	return fmt.Errorf("drain: %d requests and %d connections were cut after %s", len(left), conns, after.Round(time.Millisecond))
}

// closeApp calls the application's Close and waits for it, but not for ever.
func (l *life) closeApp(limit time.Duration) error {
	if l.service.Close == nil {
		return nil
	}
	closed := make(chan error, 1)
	go l.callClose(closed)
	err, ok := patience(l, closed, limit)
	if !ok {
		return errors.New("close the application: it did not return in time")
	}
	return err
}

func (l *life) callClose(closed chan<- error) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = panicError(v)
		}
		if err != nil {
			err = fmt.Errorf("close the application: %w", err)
		}
		closed <- err
	}()
	err = l.service.Close()
}
