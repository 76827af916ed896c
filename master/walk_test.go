package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// TestRandomWalksKeepTheInvariants sends machines through random lives, most of them
// unlucky, and looks at the whole machine after each step. Every walk ends with luck, and
// must then serve or be stopped.
func TestRandomWalksKeepTheInvariants(t *testing.T) {
	walks, steps := 400, 300
	if testing.Short() {
		walks = 50
	}
	handed, scaled := 0, 0
	for seed := range walks {
		w := newWorld(uint64(seed))
		w.step(evStart{})
		for range steps {
			w.random()
		}
		w.luck()
		if len(w.errs) > 0 {
			t.Fatalf("seed %d: %s\nlast steps:\n%s", seed, strings.Join(w.errs[:min(len(w.errs), 3)], "\n"), strings.Join(w.last, "\n"))
		}
		handed += w.handed
		scaled += int(w.m.scalings.Up + w.m.scalings.Down)
	}
	if handed < walks || scaled < walks/8 {
		t.Errorf("%d handovers to another program and %d scalings in %d walks", handed, scaled, walks)
	}
}

// world is the outside as the machine could meet it.
type world struct {
	r    *rand.Rand
	m    *machine
	now  time.Time
	log  []string
	errs []string
	last []string // steps before the first of errs

	sims    []*sim
	armed   []actArm
	due     map[ticket]time.Time
	loads   []int
	weigh   int             // the candidate that is to be weighed
	handed  int             // how often another program took over
	callers map[uint64]bool // true: answered
	done    bool

	retired map[int]int // by slot: what buried processes counted
	counted map[int]int // by slot: what was ever counted
}

// sim is a process as it really is.
type sim struct {
	inc      incarnation
	slot     int
	launched bool
	said     int // 0 nothing, 1 hello, 2 ready
	closed   bool
	killed   bool
	draining bool
	count    int
}

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	return &world{
		r: r, m: newMachine(defaultBackoff(r.Float64)), now: time.Unix(1e9, 0),
		due: make(map[ticket]time.Time), callers: make(map[uint64]bool),
		retired: make(map[int]int), counted: make(map[int]int),
	}
}

func (w *world) fault(format string, args ...any) {
	if len(w.errs) == 0 {
		w.last = w.tail()
	}
	w.errs = append(w.errs, fmt.Sprintf(format, args...))
}

// tail is the last steps.
func (w *world) tail() []string { return w.log[max(0, len(w.log)-15):] }

// random lets one thing happen.
func (w *world) random() {
	if w.done {
		return
	}
	w.now = w.now.Add(time.Duration(w.r.IntN(2000)) * time.Millisecond)
	if w.r.IntN(2) == 0 {
		w.handOver()
	}
	switch n := w.r.IntN(100); {
	case n < 8 && len(w.loads) > 0:
		w.loaded(w.r.IntN(4) > 0)
	case n < 18 && len(w.armed) > 0:
		w.fire(w.armed[w.r.IntN(len(w.armed))])
	case n < 20:
		w.lateTimer(ticket(w.r.IntN(50)), incarnation(w.r.IntN(50)))
	case n < 30:
		w.command()
	case n < 35 && w.m.live != nil:
		w.measured()
	case n < 40 && w.weigh != 0:
		w.weighed(w.r.IntN(3) > 0)
	case len(w.sims) > 0:
		w.live(w.sims[w.r.IntN(len(w.sims))])
	}
}

func (w *world) command() {
	switch n := w.r.IntN(60); {
	case n < 20:
		w.step(evReload{})
	case n < 30:
		id := uint64(len(w.callers) + 1)
		w.callers[id] = false
		w.step(evReload{caller: id})
	case n < 40:
		w.step(evAdd{})
	case n < 50:
		w.step(evRemove{})
	case n < 58:
		w.step(evReopen{})
	default:
		w.step(evStop{now: n == 59})
	}
}

// live lets a process do something, rarely what it should.
func (w *world) live(s *sim) {
	n := w.r.IntN(100)
	switch {
	case !s.launched && n < 10:
		w.step(evSpawnFailed{s.inc, errors.New("no fork")})
	case !s.launched:
		s.launched = true
		w.step(evSpawned{s.inc, 1000 + int(s.inc)})
	case s.killed && n < 90, n < 6:
		w.exit(s)
	case s.closed:
	case n < 9:
		s.closed = true
		w.step(evClosed{s.inc, nil})
	case n < 10:
		w.step(evSick{s.inc, [...]stats.Exit{stats.ExitUnresponsive, stats.ExitMemory}[w.r.IntN(2)], "is ill"})
	case n < 13:
		w.step(evFailed{inc: s.inc, stage: "build", err: "unlucky"})
	case n < 16:
		w.step(evRetire{inc: s.inc, reason: "tired", ours: w.r.IntN(2) == 0})
	case n < 18:
		w.step(evReady{s.inc})
	case n < 20:
		w.step(evHello{inc: s.inc, version: control.Version + w.r.IntN(2)})
	case s.draining && n < 70:
		w.exit(s)
	default:
		w.proceed(s)
	}
}

// proceed is what a healthy process does next.
func (w *world) proceed(s *sim) {
	switch s.said {
	case 0:
		w.step(evHello{inc: s.inc, version: control.Version})
	case 1:
		w.step(evReady{s.inc})
	default:
		s.count++
		w.counted[s.slot]++
		return
	}
	s.said++
}

func (w *world) exit(s *sim) {
	e := Exit{Code: w.r.IntN(3)}
	if s.killed {
		e = Exit{Code: -1, Signal: syscall.SIGKILL}
	}
	w.step(evExited{inc: s.inc, exit: e})
}

func (w *world) loaded(ok bool) {
	gen := w.loads[0]
	w.loads = w.loads[1:]
	if !ok {
		w.step(evLoadFailed{gen: gen, step: StepLoad, err: errors.New("no plan")})
		return
	}
	workers := 1 + w.r.IntN(4)
	w.step(evLoaded{gen: gen, workers: workers, scaling: w.scaling(workers), timing: timing{
		start: time.Minute, mercy: 10 * time.Second, linger: time.Duration(w.r.IntN(2)) * time.Second,
		probation: time.Duration(w.r.IntN(2)) * 2 * time.Second, surge: w.r.IntN(3), lameDuck: time.Duration(w.r.IntN(2)) * 5 * time.Second,
	}})
}

// scaling is that of every other plan.
func (w *world) scaling(workers int) Scaling {
	if w.r.IntN(2) == 0 {
		return Scaling{}
	}
	least := 1 + w.r.IntN(workers)/2
	return Scaling{
		Least: least, Initial: least + w.r.IntN(workers-least+1), Step: 1 + w.r.IntN(3), Backlog: w.r.IntN(2) == 0,
		Overload: 1, Alert: 20, Max: 50, Min: 25, Multiplier: 1, Penalty: 1, Idle: 2 * time.Second,
	}
}

// measured is some looks at any load, which may be that of a generation that serves no more.
func (w *world) measured() {
	ev := evMeasured{w.m.live.id - w.r.IntN(5)/4, reading{busy: w.r.IntN(102) - 1, active: w.r.IntN(2) == 0}}
	for range 1 + w.r.IntN(4) {
		ev.queue = w.r.IntN(2) * w.r.IntN(40)
		w.step(ev)
	}
}

// lateTimer fires a timer that was replaced, or never was.
func (w *world) lateTimer(t ticket, inc incarnation) {
	if !slices.ContainsFunc(w.armed, func(a actArm) bool { return a.ticket == t }) {
		w.step(evTimer{ticket: t, inc: inc})
	}
}

// handOver lets another program take the machine's place, if it rests.
func (w *world) handOver() {
	if !w.m.resting() {
		return
	}
	text, err := json.Marshal(w.m.legacy())
	var l machineLegacy
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		w.fault("%v", err)
		return
	}
	was, scaler, scalings := w.m.describe(), w.m.live.scaler, w.m.scalings
	w.m, w.armed = resume(w.m.backoff, l), nil
	if is := w.m.describe(); is != was || w.m.live.scaler != scaler || w.m.scalings != scalings {
		w.fault("handed over it is\n%s, it was\n%s", is, was)
	}
	w.handed++
	w.step(evResumed{})
}

// weighed answers how the candidate does.
func (w *world) weighed(well bool) {
	ev := evWeighed{gen: w.weigh, live: tally{1000, 1}, candidate: tally{100, 0}}
	if !well {
		ev.candidate.errors = 50
	}
	w.weigh = 0
	w.step(ev)
}

func (w *world) fire(a actArm) {
	if due := w.due[a.ticket]; due.After(w.now) {
		w.now = due
	}
	w.unarm(a.ticket)
	w.step(evTimer{ticket: a.ticket, inc: a.inc, slot: a.slot, gen: a.gen})
}

func (w *world) unarm(t ticket) {
	for i, a := range w.armed {
		if a.ticket == t {
			w.armed = append(w.armed[:i:i], w.armed[i+1:]...)
			return
		}
	}
	w.fault("ticket %d is not armed", t)
}

// luck lets everything go well until nothing is left to do.
func (w *world) luck() {
	for range 10_000 {
		switch {
		case w.done:
			w.settled()
			return
		case len(w.loads) > 0:
			w.loaded(true)
		case w.weigh != 0:
			w.weighed(true)
		case w.m.resting() && w.r.IntN(2) == 0:
			w.handOver()
		case w.m.resting() && w.r.IntN(4) > 0:
			w.measured()
		case !w.lucky():
			if i := w.nextTimer(); i >= 0 {
				w.fire(w.armed[i])
				continue
			}
			w.settled()
			return
		}
	}
	w.fault("it never comes to rest: %s", w.m.describe())
}

// lucky lets one process do what is good for it, and reports whether any had to.
func (w *world) lucky() bool {
	for _, s := range w.sims {
		switch {
		case !s.launched:
			s.launched = true
			w.step(evSpawned{s.inc, 1000 + int(s.inc)})
		case s.killed || s.draining || s.closed || w.leaving(s):
			w.exit(s)
		case s.said < 2:
			w.proceed(s)
		default:
			continue
		}
		return true
	}
	return false
}

// leaving reports a process that has said Failed.
func (w *world) leaving(s *sim) bool {
	p := w.m.procs[s.inc]
	return p != nil && p.phase >= Draining
}

// nextTimer is one that nothing else but time ends.
func (w *world) nextTimer() int {
	for i, a := range w.armed {
		if a.slot != 0 || a.gen != 0 {
			return i
		}
	}
	return -1
}

// settled is what must be true when all has gone well for long enough.
func (w *world) settled() {
	for id, answered := range w.callers {
		if !answered {
			w.fault("caller %d never got an answer", id)
		}
	}
	if w.done {
		if len(w.sims) > 0 || len(w.armed) > 0 || len(w.m.gens) > 0 {
			w.fault("finished with %d processes, %d timers, %s", len(w.sims), len(w.armed), w.m.describe())
		}
		return
	}
	if w.m.state != Serving || !w.m.filled(w.m.live) {
		w.fault("after all went well it is %s", w.m.describe())
		return
	}
	for id := 1; id <= w.m.live.workers; id++ {
		if !w.m.slot(id).ready(w.m.live) {
			w.fault("after all went well slot %d does not serve: %s", id, w.m.describe())
		}
	}
}
