package pool

import (
	"context"
	"errors"
	"net/http"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// ErrHarakiri is the cause with which the context of a request ends that has run for as long
// as it may.
var ErrHarakiri = errors.New("the request has run for as long as it may (harakiri)")

// Label is the key of the profiler label (runtime/pprof) that the goroutine of a limited
// request carries, and every goroutine that it starts. The value is Overrun.Label.
const Label = "ostler_request"

// Limits bound how long requests run, from the moment they get their slot.
type Limits struct {
	// Limit is when the context of the request ends, by ErrHarakiri, and its client gets a
	// 504 if nothing was written. Zero: never, and nothing else is looked at.
	Limit time.Duration

	// Grace is how long after that the handler may take to return. Then it is stuck: see
	// Options.OnStuck.
	Grace time.Duration
}

// Overrun is a request that has used up some of its limit and still runs.
type Overrun struct {
	Request
	Percent int // of the limit: 50, 75, 100
	Age     time.Duration
	Limit   time.Duration
}

// Label is the value of the label on its goroutines.
func (o Overrun) Label() string { return labelOf(o.ID) }

func labelOf(id uint64) string { return strconv.FormatUint(id, 10) }

// looks are the parts of the limit, in percent, after which a request is looked at: what has
// moved between two of them is slow, what has not is stuck. At the last its time is over.
func looks() [3]int { return [...]int{50, 75, 100} }

// Limited runs next under l. It stands somewhere behind the pool's Handler; anywhere else it
// limits nothing.
func Limited(l Limits, next http.Handler) http.Handler {
	if l.Limit <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, out := responseOf(w), asWriter(w)
		if res == nil || out == nil {
			next.ServeHTTP(w, r)
			return
		}
		t := &timed{Context: r.Context(), res: res, allowed: l.Limit, grace: l.Grace}
		t.out.ResponseWriter, t.out.timed = out, t
		t.serve(next, r)
	})
}

// timed is a request under a limit: its context, and what becomes of it.
//
//	running ─▶ over ─▶ stuck
//	   └────────┴───────┴───▶ ended
type timed struct {
	context.Context // as the request came with it
	res             *response
	grace           time.Duration
	out             limitedWriter

	derived atomic.Pointer[derived] // nil until somebody looks at the context's end

	mu      sync.Mutex
	state   timedState
	allowed time.Duration // since the request began; Extend moves it
	looked  int           // looks that were taken
	telling bool          // of a look; the timer rests meanwhile
	counted bool          // as a request that has ended
	timer   *time.Timer
}

type timedState uint8

const (
	timedRunning timedState = iota
	timedOver               // the context has ended; the handler is expected back
	timedStuck              // it did not come
	timedEnded              // it did
)

// derived is a context that we can end.
type derived struct {
	context.Context
	end context.CancelCauseFunc
}

func (t *timed) serve(next http.Handler, r *http.Request) {
	ctx := pprof.WithLabels(t, pprof.Labels(Label, labelOf(t.res.id)))
	pprof.SetGoroutineLabels(ctx)
	defer pprof.SetGoroutineLabels(r.Context()) // the goroutine serves others after this
	inner := r.WithContext(ctx)
	// The server removes the files of an upload, and looks for them in its own request.
	defer func() { r.MultipartForm = inner.MultipartForm }()
	t.res.timed = t
	t.start()
	returned := false
	defer func() {
		t.out.leave(returned)
		t.end()
	}()
	next.ServeHTTP(&t.out, inner)
	returned = true
}

func (t *timed) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(t.untilLook(), t.look)
}

// untilLook is called with mu held.
func (t *timed) untilLook() time.Duration {
	return time.Until(t.res.began.Add(t.allowed / 100 * time.Duration(looks()[t.looked])))
}

// look runs on a goroutine of the timer. Whoever is told is told before the context ends: a
// handler that notices the end stands elsewhere then. The next look is not before the last was
// told, however long that takes: they are told in order.
func (t *timed) look() {
	t.mu.Lock()
	if t.state != timedRunning {
		t.mu.Unlock()
		return
	}
	if t.untilLook() > 0 { // it was extended
		t.arm()
		t.mu.Unlock()
		return
	}
	percent := looks()[t.looked]
	o := Overrun{Percent: percent, Age: time.Since(t.res.began), Limit: t.allowed}
	t.looked++
	t.telling = true
	if percent == 100 {
		t.state = timedOver
	}
	t.mu.Unlock()
	t.tell(o)
	if percent == 100 {
		t.expire()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.telling = false
	if t.state == timedRunning {
		t.arm()
	}
}

// arm sets the timer to the next look, unless one is being told. It is called with mu held.
func (t *timed) arm() {
	if !t.telling {
		t.timer.Reset(max(t.untilLook(), 0))
	}
}

func (t *timed) tell(o Overrun) {
	p := t.res.pool
	if r, ok := p.running(t.res); ok && p.opts.OnOverrun != nil {
		o.Request = r
		p.opts.OnOverrun(o)
	}
}

// expire ends the time of the request. The answer comes last: it waits for a handler that is
// writing.
func (t *timed) expire() {
	p := t.res.pool
	t.derive().end(ErrHarakiri)
	p.opts.Page.AddReject(t.res.app, scoreboard.RejectHarakiri)
	t.mu.Lock()
	if t.state == timedOver {
		t.timer = time.AfterFunc(t.grace, t.onStuck)
	}
	t.mu.Unlock()
	t.out.answer()
}

func (t *timed) onStuck() {
	p := t.res.pool
	t.mu.Lock()
	stuck := t.state == timedOver
	if stuck {
		t.state = timedStuck
		p.stick(t, 1)
	}
	t.mu.Unlock()
	if r, ok := p.running(t.res); stuck && ok && p.opts.OnStuck != nil {
		p.opts.OnStuck(r)
	}
}

// end is called when the handler is back, or does not want to be limited any more.
func (t *timed) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == timedStuck {
		t.res.pool.stick(t, -1)
	}
	t.state = timedEnded
	t.timer.Stop()
	if d := t.derived.Load(); d != nil {
		d.end(context.Canceled)
	}
}

// over reports whether the time of the request is over.
func (t *timed) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == timedOver || t.state == timedStuck
}

// count reports whether the request is to be counted now: once, by whoever comes first.
func (t *timed) count() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.counted
	t.counted = true
	return first
}

// abandon counts a request that will not end.
func (t *timed) abandon() {
	res, status := t.res, 0
	if t.out.mu.TryLock() { // else it sticks in a write
		status = res.status
		t.out.mu.Unlock()
	}
	if t.count() {
		res.pool.rows[res.slot].End(res.app, status, time.Since(res.began))
	}
}

// derive makes the context one that can be ended. It is late, because who looks at the end
// of a request's context has the connection watched.
func (t *timed) derive() *derived {
	if d := t.derived.Load(); d != nil {
		return d
	}
	var d derived
	d.Context, d.end = context.WithCancelCause(t.Context)
	if t.derived.CompareAndSwap(nil, &d) {
		return &d
	}
	d.end(nil) // somebody else was faster
	return t.derived.Load()
}

func (t *timed) Done() <-chan struct{} { return t.derive().Done() }

func (t *timed) Err() error {
	if d := t.derived.Load(); d != nil {
		return d.Err()
	}
	return t.Context.Err()
}

type timedKey struct{}

// Value lets the context package find, by a key of its own, what Done belongs to.
func (t *timed) Value(key any) any {
	if key == (timedKey{}) {
		return t
	}
	if d := t.derived.Load(); d != nil {
		return d.Context.Value(key)
	}
	return t.Context.Value(key)
}

// Extend gives the request whose context, or a descendant of it, ctx is until d from now,
// if that is longer than it has. Without a limit there is nothing to do. It returns
// ErrHarakiri if the time is over already.
func Extend(ctx context.Context, d time.Duration) error {
	t, ok := ctx.Value(timedKey{}).(*timed)
	if !ok {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.state {
	case timedOver, timedStuck:
		return ErrHarakiri
	case timedRunning:
		t.allowed = max(t.allowed, time.Since(t.res.began)+d)
		t.arm()
	case timedEnded: // a goroutine of the handler that outlives it
	}
	return nil
}
