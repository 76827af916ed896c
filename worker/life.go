package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/accept"
	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// defaultMercy is the drain limit of a worker that was not told one.
const defaultMercy = 30 * time.Second

// heartbeat is how often the scoreboard hears that the process is alive.
const heartbeat = time.Second

// life is one worker from its setup to its end.
type life struct {
	setup  control.Setup
	build  BuildFunc
	log    hclog.Logger
	report func(control.Message) // to whoever supervises
	inbox  *inbox

	questions <-chan control.Gather // for metrics; nil without a master
	takeLog   func() error          // likewise: from now on nobody reads what is printed

	appCtx    context.Context // the application's; ends when the worker is asked to stop
	endAppCtx context.CancelFunc

	// Owned by run.
	state     State
	page      *scoreboard.Page
	listeners []net.Listener // one for each of setup.Sockets; the pool's after assemble
	service   Service
	pool      *pool.Pool
	servers   []Server
	stacks    stacks // for whoever runs over its time
	terms     int    // SIGTERMs so far

	servingSince time.Time
	reopen       bool      // a Reopen came while there was nothing to reopen yet
	retired      bool      // the supervisor was asked for a successor
	orphan       bool      // the master is gone
	reporter     *reporter // nil if there is nothing to report

	serving sync.WaitGroup // the servers' goroutines
	ended   chan error     // from them; room for all, so that none waits for a reader
}

func newLife(ctx context.Context, in *inbox, s control.Setup, build BuildFunc, log hclog.Logger) *life {
	if s.Mercy <= 0 {
		s.Mercy = defaultMercy
	}
	l := &life{setup: s, build: build, log: log, inbox: in, state: Booting}
	// The end of ctx comes in by the inbox like every reason to stop, so that all of them
	// end the application's context at the same point.
	l.appCtx, l.endAppCtx = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// run leads the life from Booting to Done.
func (l *life) run() error {
	defer l.endAppCtx()
	l.show(Booting)
	stop := l.startHeart()
	defer stop()

	proceed, err := l.boot()
	if err != nil {
		return l.fail("build", err)
	}
	if !proceed {
		return l.move(Done)
	}
	if err := l.assemble(); err != nil {
		return l.fail("serve", errors.Join(err, l.closeApp(l.setup.Mercy)))
	}
	if err := l.startServing(); err != nil {
		return err
	}
	ask := l.serve()
	return l.drain(ask)
}

// FailedError ends a life that did not come to serving. Under a master the text was sent to
// it, and need not be said again.
type FailedError struct {
	Stage string
	Err   error
}

func (e *FailedError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }
func (e *FailedError) Unwrap() error { return e.Err }

// fail ends a life that has not come to serving.
func (l *life) fail(stage string, err error) error {
	l.endAppCtx()
	for _, ln := range l.listeners {
		_ = ln.Close()
	}
	l.report(control.Failed{Stage: stage, Err: err.Error()})
	return errors.Join(&FailedError{Stage: stage, Err: err}, l.move(Done))
}

// startHeart beats until the function it returns is called.
func (l *life) startHeart() (stop func()) {
	quit := make(chan struct{})
	var beating sync.WaitGroup
	heart := newPulse(l.page)
	heart.beat(time.Now())
	beating.Go(func() {
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				heart.beat(now)
			case <-quit:
				heart.beat(time.Now()) // the last numbers stay for ever
				return
			}
		}
	})
	return func() { close(quit); beating.Wait() }
}

// assemble makes the pool and all servers, so that nothing is accepted unless everything
// can be served.
func (l *life) assemble() error {
	o := l.service.Pool
	o.Page = l.page
	if o.OnPanic == nil {
		o.OnPanic = l.onPanic
	}
	o.OnOverrun, o.OnStuck = l.onOverrun, l.onStuck
	if most := l.service.MaxRequests; most > 0 {
		o.RequestLimit = most - rand.Uint64N(most/10+1) // or all would go together
		o.OnLimit = func() {
			l.inbox.post(event{kind: wornOut, reason: fmt.Sprintf("max_requests: %d requests", o.RequestLimit)})
		}
	}
	if o.Slots+o.Reserve > l.page.Slots() {
		return fmt.Errorf("%d slots are asked for, the scoreboard has %d", o.Slots+o.Reserve, l.page.Slots())
	}
	if n := len(l.service.Startup); n > l.page.Apps() {
		return fmt.Errorf("%d apps were built, the scoreboard has %d", n, l.page.Apps())
	}
	for app, took := range l.service.Startup {
		l.page.SetStartup(app, took)
	}
	l.pool = pool.New(o)
	handler := l.pool.Handler(l.service.Handler)
	for i, s := range l.setup.Sockets {
		srv, gate, err := l.service.NewServer(s, handler, l.pool)
		if err != nil {
			return fmt.Errorf("make the server of %s socket %s: %w", s.Proto, s.Name, err)
		}
		l.servers = append(l.servers, srv)
		if gate.Grace == 0 { // a connection for each request
			l.acceptDirectly(i)
		} else {
			l.listeners[i] = accept.Keep(l.listeners[i])
		}
		l.listeners[i] = l.pool.Gate(l.listeners[i], gate)
	}
	return nil
}

// acceptDirectly makes each connection of a listener cheaper. A kernel that cannot do that
// is no reason not to serve.
func (l *life) acceptDirectly(i int) {
	direct, err := accept.Listen(l.listeners[i])
	if err != nil {
		l.log.Warn("socket is accepted from in the usual way, which costs more", "socket", l.setup.Sockets[i].Name, "cause", err)
		return
	}
	l.listeners[i] = direct
}

func (l *life) onPanic(r *http.Request, v any, stack []byte) {
	l.log.Error("handler panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(stack))
	if l.service.ReloadOnException {
		go l.inbox.post(event{kind: wornOut, reason: fmt.Sprintf("exception: %s %s", r.Method, r.URL.Path)})
	}
}

func (l *life) startServing() error {
	l.ended = make(chan error, len(l.servers))
	for i, srv := range l.servers {
		l.serving.Go(func() {
			s := l.setup.Sockets[i]
			l.ended <- fmt.Errorf("serve %s socket %s: %w", s.Proto, s.Name, srv.Serve(l.listeners[i]))
		})
	}
	if err := l.move(Serving); err != nil {
		return err
	}
	if l.takeLog != nil {
		if err := l.takeLog(); err != nil {
			l.log.Error("the log is reached through the master only", "error", err)
		}
	}
	l.servingSince = time.Now()
	l.report(control.Ready{})
	l.startReporter()
	return nil
}

// serve waits for a reason to drain.
func (l *life) serve() control.Drain {
	if l.terms > 0 {
		l.retire("SIGTERM") // it came while booting
	}
	if l.reopen {
		l.reopenLogs()
	}
	for {
		select {
		case err := <-l.ended:
			// The other sockets are served until a successor is there.
			l.log.Error("server ended", "error", err)
			l.retire(err.Error())
		case ev := <-l.inbox.events:
			if ask, stop := l.judge(ev); stop {
				return ask
			}
		}
	}
}

// judge says whether what happened while serving is a reason to drain, and how.
func (l *life) judge(ev event) (ask control.Drain, stop bool) {
	own := control.Drain{Timeout: l.setup.Mercy, Linger: l.setup.Linger}
	switch ev.kind {
	case drainAsked:
		return ev.drain, true
	case stopAsked:
		return own, true
	case cutAsked:
		return control.Drain{}, true
	case masterGone:
		l.orphan = true
		l.log.Warn("master is gone, draining", "error", ev.err)
		return own, true
	case termCame:
		if l.terms++; l.terms > 1 {
			l.log.Info("second SIGTERM, draining")
			return own, true
		}
		l.retire("SIGTERM")
	case wornOut:
		l.retireWhenOld(ev)
	case stuck:
		l.retire(ev.reason)
	case reopenAsked:
		l.reopenLogs()
	case setupCame:
		l.log.Error("second setup refused")
	}
	return control.Drain{}, false
}

// retire asks for a successor, once: a second reason makes it no more urgent.
func (l *life) retire(reason string) {
	if l.retired {
		return
	}
	l.retired = true
	l.log.Info("asking to be replaced", "reason", reason)
	l.report(control.Retire{Reason: reason})
}

// retireWhenOld keeps a process that has reached a limit young: a limit that is reached so soon
// is a mistake in the configuration or the application, and must not cost a fork each moment.
func (l *life) retireWhenOld(ev event) {
	if wait := l.service.MinLifetime - time.Since(l.servingSince); wait > 0 {
		time.AfterFunc(wait, func() { l.inbox.post(ev) })
		return
	}
	l.retire(ev.reason)
}

func (l *life) reopenLogs() {
	if l.service.Reopen == nil {
		return
	}
	if err := l.service.Reopen(); err != nil {
		l.log.Error("logs not reopened", "error", err)
	}
}
