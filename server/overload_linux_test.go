package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const (
	overloadSlots = 8 // of all workers
	overloadQueue = 100
	tenfold       = 10 * overloadSlots * int(time.Second/serviceTime) // requests per second

	// queueLimit is queue-timeout. A machine that is busy with something else makes everything
	// late, so what is bounded by it is allowed three times as much.
	queueLimit = time.Second

	leastGoodput = 0.9 // of the capacity
)

const overloaded = `
module = "service"
processes = 2
threads = 4
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
disable-logging = true
queue-timeout = "1s"
`

const bounded = overloaded + `
max-queue = 100
health-path = "/healthz"
reserve-slots = 1
`

// answers is what became of requests.
type answers struct {
	mu       sync.Mutex
	ok       int
	refused  int // 503
	gaveUp   int // the client's own patience
	failed   []error
	firstOK  time.Time
	lastOK   time.Time
	slowest  time.Duration // of ok
	tookMost time.Duration // of refused
	stood    time.Duration // the longest that who began the requests stood still
}

func (a *answers) note(status int, err error, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a.gaveUp++
	case err != nil:
		a.failed = append(a.failed, err)
	case status == http.StatusOK:
		a.lastOK = time.Now()
		if a.ok++; a.ok == 1 {
			a.firstOK = a.lastOK
		}
		a.slowest = max(a.slowest, took)
	case status == http.StatusServiceUnavailable:
		a.refused++
		a.tookMost = max(a.tookMost, took)
	default:
		a.failed = append(a.failed, fmt.Errorf("status %d", status))
	}
}

// ask makes one request of a client who waits no longer than patience.
func (a *answers) ask(rt http.RoundTripper, path string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://site"+path, nil)
	if err != nil {
		a.note(0, err, 0)
		return
	}
	resp, err := rt.RoundTrip(req)
	status := 0
	if err == nil {
		status = resp.StatusCode
		resp.Body.Close()
		if status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
			err = errors.New("a 503 without Retry-After")
		}
	}
	a.note(status, err, time.Since(began))
}

// perSecond is how many good answers have come since there were any. The first slots to answer
// did their work before that.
func (a *answers) perSecond() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return float64(a.ok-overloadSlots) / a.lastOK.Sub(a.firstOK).Seconds()
}

// closedLoop has n clients ask one request after the other, and gives the answers per second.
func closedLoop(rt http.RoundTripper, n int, lasting time.Duration) (*answers, float64) {
	a := &answers{}
	began := time.Now()
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			for time.Since(began) < lasting {
				a.ask(rt, "/", time.Minute)
			}
		})
	}
	await(lasting)
	rate := a.perSecond() // before the clients become fewer
	clients.Wait()
	return a, rate
}

// openLoop has rate clients come each second, whatever became of those before, and gives the
// good answers per second. It returns when all have theirs.
func openLoop(rt http.RoundTripper, rate int, lasting, patience time.Duration) (*answers, float64) {
	a := &answers{}
	began, started := time.Now(), 0
	var clients sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for since, last := time.Duration(0), time.Duration(0); since < lasting; last, since = since, time.Since(began) {
		a.stood = max(a.stood, since-last)
		for ; started < int(since.Seconds()*float64(rate)); started++ {
			clients.Go(func() { a.ask(rt, "/", patience) })
		}
		<-tick.C
	}
	goodput := a.perSecond()
	clients.Wait()
	return a, goodput
}

// size is what a worker may not grow in while more comes than it can do.
type size struct{ memory, goroutines, threads uint64 }

func sizes(s stats.Snapshot) (all []size) {
	for _, w := range s.Workers {
		all = append(all, size{uint64(w.RSS), w.Process.Goroutines, uint64(w.Process.Threads)})
	}
	return all
}

// At ten times the load that the workers can serve they serve what they can, no admitted
// request waits longer than it may, all others are told so, and health checks get through.
func TestTenfoldOverload(t *testing.T) {
	program := programWithoutRace(t)
	for name, c := range map[string]struct {
		proto, addr, order string
		patience           time.Duration // of the clients
	}{
		"in order":         {"socket", "uwsgi", "fifo", time.Minute},
		"http":             {"http-socket", "http", "fifo", time.Minute},
		"without patience": {"socket", "uwsgi", "adaptive-lifo", 3 * serviceTime},
	} {
		t.Run(name, func(t *testing.T) {
			i := servertest.LaunchAs(t, bounded+fmt.Sprintf("queue-order = %q\n", c.order), servertest.Process{Program: program})
			rt := transport(i, c.proto, c.addr)
			lasting := time.Duration(soaking(3, 30)) * time.Second
			_, capacity := closedLoop(rt, 4*overloadSlots, time.Second)

			var a, health *answers
			var goodput float64
			var was, is []size
			for try := range 3 {
				early := make(chan []size, 1)
				time.AfterFunc(lasting/3, func() { early <- sizes(i.Stats()) })
				var stop func()
				health, stop = checkHealth(transport(i, c.proto, c.addr))
				a, goodput = openLoop(rt, tenfold, lasting, c.patience)
				was, is = <-early, sizes(i.Stats())
				stop()
				// Where something stood still for the time of a request, the sum shows nothing. A
				// health check may have waited for a slot as well.
				stood := max(a.stood, health.slowest-serviceTime)
				if goodput >= leastGoodput*capacity || stood < serviceTime {
					break
				}
				t.Logf("try %d: goodput %.0f/s of %.0f/s, but the machine stood still for %s", try, goodput, capacity, stood)
			}
			t.Logf("capacity %.0f/s, goodput %.0f/s, slowest %s, %d refused, at most after %s, %d gave up; slowest of %d health checks %s; sizes %v, %v",
				capacity, goodput, a.slowest, a.refused, a.tookMost, a.gaveUp, health.ok, health.slowest, was, is)
			checkOverload(t, a, goodput/capacity)
			checkFlat(t, was, is)
			if len(health.failed)+health.refused+health.gaveUp > 0 || health.ok == 0 || health.slowest > 3*queueLimit {
				t.Errorf("health checks: %d ok, %d refused, slowest %s, %v", health.ok, health.refused, health.slowest, health.failed)
			}
			after, _ := closedLoop(rt, overloadSlots, time.Second)
			if after.refused > 0 || len(after.failed) > 0 || after.slowest > 3*queueLimit {
				t.Errorf("right afterwards %d were served, the slowest in %s, %d refused, %v", after.ok, after.slowest, after.refused, after.failed)
			}
		})
	}
}

// checkHealth asks for the health of the server until stop.
func checkHealth(rt http.RoundTripper) (a *answers, stop func()) {
	a = &answers{}
	quit := make(chan struct{})
	var checking sync.WaitGroup
	checking.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
				a.ask(rt, "/healthz", time.Minute)
			}
		}
	})
	return a, func() { close(quit); checking.Wait() }
}

func checkOverload(t *testing.T, a *answers, share float64) {
	t.Helper()
	if share < leastGoodput {
		t.Errorf("goodput is %.2f of the capacity", share)
	}
	if limit := 3*queueLimit + serviceTime; a.slowest > limit || a.tookMost > limit {
		t.Errorf("an admitted request took %s, a refused one %s, want at most %s", a.slowest, a.tookMost, limit)
	}
	if len(a.failed) > 0 {
		t.Errorf("%d neither served nor refused: %v", len(a.failed), a.failed[0])
	}
	if a.refused+a.gaveUp < 5*a.ok {
		t.Errorf("%d refused, %d gave up and %d served: that is not ten times the load", a.refused, a.gaveUp, a.ok)
	}
}

// checkFlat wants workers that do not grow while the overload lasts.
func checkFlat(t *testing.T, early, late []size) {
	t.Helper()
	for n := range late {
		was, is := early[n], late[n]
		if is.memory > was.memory+was.memory/4+8<<20 || is.threads > was.threads+4 {
			t.Errorf("worker %d grew from %+v to %+v", n+1, was, is)
		}
		if limit := uint64(2*overloadQueue + 100); is.goroutines > limit {
			t.Errorf("worker %d has %d goroutines for a queue of %d", n+1, is.goroutines, overloadQueue)
		}
	}
}

// Without max-queue connections wait in the kernel, without a limit of time. Who has given
// up there costs no slot when its turn comes.
func TestWhoGaveUpInTheKernelIsNotServed(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "gate"
processes = 1
threads = 1
socket = "$DIR/uwsgi"
[env]
GATE = "$DIR/gate"
`)
	gate := servertest.NewGate(t, i.Dir)
	rt := i.UWSGI("uwsgi")
	first := make(chan error, 1)
	go func() { first <- through(rt) }()
	i.Until("the slot is taken", func() bool { return gate.Inside() == 1 })

	const many = 50
	a := &answers{}
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() { a.ask(rt, "/", 2*time.Second) }) // in which it has to get into the queue
	}
	clients.Wait()
	if a.gaveUp != many {
		t.Fatalf("%d of %d gave up: %+v", a.gaveUp, many, a)
	}
	last := make(chan error, 1)
	go func() { last <- through(rt) }()
	i.WaitFor("it waits behind them", func(s stats.Snapshot) bool { return s.ListenQueue == many+1 })
	gate.Open()
	if err := errors.Join(<-first, <-last); err != nil {
		t.Error(err)
	}
	// The slot of the last one comes back a moment after its answer.
	w := i.WaitFor("both are counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests >= 2 }).Workers[0]
	if w.Requests != 2 || w.Rejects.ClientGone != many || gate.Most() != 1 {
		t.Errorf("%d were served and %d found gone, want 2 and %d", w.Requests, w.Rejects.ClientGone, many)
	}
}
