package master

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// randomly is the jitter of a real master.
func randomly() float64 { return rand.Float64() }

// loop performs what the machine decides. Everything in it is owned by the one goroutine
// that runs it; the others it starts only post notes.
type loop struct {
	master  *Master
	options Options
	log     *journal
	machine *machine
	cwd     string
	began   time.Time

	gens     map[int]*admitted
	procs    map[incarnation]*running
	ledgers  map[int]stats.Ledger // by slot: the processes that are gone
	known    []stats.App          // every app there has been; it only grows, see stats.FillApps
	timers   map[ticket]*time.Timer
	callers  map[uint64]caller
	sockets  socketSet
	outcome  *Outcome
	crashes  []stats.Crash   // newest first; never changed, see publish
	overruns []stats.Overrun // likewise
	herald   *herald
	shares   shares

	measured time.Time // the last look at how busy the workers are

	resting  []chan<- struct{} // who wait for the machine to rest
	freezing *freezing         // nil unless another program is to take over

	loadCtx    context.Context
	cancelLoad context.CancelFunc

	finished bool
	err      error

	others sync.WaitGroup // loads and supervisors
}

func newLoop(ctx context.Context, m *Master) *loop {
	cwd, _ := os.Getwd() // only shown
	l := &loop{
		master:  m,
		options: m.options,
		log:     newJournal(m.options.Log),
		machine: newMachine(m.backoff),
		cwd:     cwd,
		began:   m.now(),
		gens:    make(map[int]*admitted),
		procs:   make(map[incarnation]*running),
		ledgers: make(map[int]stats.Ledger),
		timers:  make(map[ticket]*time.Timer),
		callers: make(map[uint64]caller),
		sockets: newSocketSet(),
		herald:  newHerald(),
	}
	// The end of ctx is a stop, which the machine decides on; it ends no load by itself.
	l.loadCtx, l.cancelLoad = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// run is the whole life of the loop.
func (l *loop) run(ctx context.Context) error {
	defer l.cancelLoad()
	defer l.herald.start(l.options.Progress)()
	defer l.startLooking()()
	if m := l.master.metrics; m != nil {
		defer m.start()()
	}
	if err := l.begin(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.master.Stop(false) })
	defer stop()
	for !l.finished {
		for _, n := range l.master.mail.take() {
			l.take(n)
			l.freezeWhenQuiet()
			l.tellRest()
		}
	}
	for _, n := range l.master.mail.close() {
		if n.caller.answer != nil {
			n.caller.answer <- answer{err: errStopping}
		}
	}
	l.others.Wait()
	l.log.close()
	return l.err
}

// begin starts the first generation, or goes on from where another program stopped.
func (l *loop) begin() error {
	legacy := l.master.legacy
	if legacy == nil {
		l.take(note{ev: evStart{}})
		return nil
	}
	if err := l.inherit(legacy); err != nil {
		return fmt.Errorf("take over from the program before: %w", err)
	}
	l.take(note{ev: evResumed{}})
	close(l.master.started) // now there is something to see
	return nil
}

// tellRest lets those go who waited for the machine to rest.
func (l *loop) tellRest() {
	if len(l.resting) == 0 || !l.machine.resting() {
		return
	}
	for _, rests := range l.resting {
		close(rests)
	}
	l.resting = nil
}

// takeOwn is for what is no event of the machine.
func (l *loop) takeOwn(n note) {
	switch {
	case n.question != nil:
		l.ask(n.question)
	case n.complain != nil:
		l.log.put(hclog.Warn, "metrics of a worker not understood", "error", n.complain)
	case n.overrun != nil:
		l.keepLook(n.overrun)
		l.publish()
	case n.pong != nil:
		close(n.pong)
	case n.look:
		l.look()
	case n.rest != nil:
		l.resting = append(l.resting, n.rest)
	case n.freeze != nil:
		l.freeze(n.freeze)
	case n.freezeOver != nil:
		l.giveUpFreezing(n.freezeOver)
	case n.paused != nil:
		l.paused(n.paused)
	}
}

// take brings one note to the machine and does what it says. What comes with the note is
// put in its place before, so that the machine's answer finds it.
func (l *loop) take(n note) {
	if n.ev == nil {
		l.takeOwn(n)
		n.credit.giveBack()
		return
	}
	switch ev := n.ev.(type) {
	case evLoaded:
		l.admit(ev.gen, n.loaded)
	case evLoadFailed:
		l.sockets.leased = false
		l.sweep()
	case evSpawned:
		l.procs[ev.inc].proc = n.proc
	case evClosed:
		l.quiet(ev.inc)
	case evExited:
		r := l.procs[ev.inc]
		ev.exit = r.proc.Reap()
		r.maxRSS = ev.exit.MaxRSS
		ev.exit.MaxRSS = 0 // the zero Exit is a plain success
		n.ev = ev
	case evTimer:
		delete(l.timers, ev.ticket)
	case evReload:
		if n.caller.answer != nil {
			l.callers[ev.caller] = n.caller
		}
	}
	for _, a := range l.machine.step(l.master.now(), n.ev) {
		l.perform(a)
	}
	l.publish()
	n.credit.giveBack()
}

// perform is a flat switch.
//
// Invariant: in one step an actBury comes before what publishes, or a dead process would
// be in no view and its numbers in no ledger yet.
func (l *loop) perform(a action) {
	switch a := a.(type) {
	case actLoad:
		l.load(a.gen)
	case actCancelLoad:
		l.cancelLoad()
	case actSpawn:
		l.spawn(a)
	case actSetup:
		l.procs[a.inc].say(l.setup(a.inc))
	case actDrain:
		l.procs[a.inc].say(control.Drain{Timeout: a.timeout, Linger: a.linger, HeapProfile: l.heapProfile(a.inc)})
	case actReopen:
		l.procs[a.inc].say(control.Reopen{})
	case actShare:
		l.shareOut(a.gen)
	case actKill:
		l.signal(a.inc, syscall.SIGKILL)
	case actQuit:
		l.signal(a.inc, syscall.SIGQUIT)
	case actWeigh:
		l.master.mail.post(note{ev: l.weigh(a.gen)})
	case actArm:
		l.arm(a)
	case actDisarm:
		l.disarm(a.ticket)
	case actReport:
		l.report(a)
	case actBury:
		l.bury(a)
	case actPromote:
		l.promote(a.gen)
	case actRelease:
		l.release(a)
	case actDeafen:
		l.deafen()
	case actAnswer:
		l.publish()
		l.callers[a.caller].answer <- answer{a.outcome, a.err}
		delete(l.callers, a.caller)
	case actProgress:
		l.progress(a)
	case actOutcome:
		l.outcome = &a.outcome
		l.herald.post(Progress{State: l.machine.state, Generation: a.outcome.Generation, Outcome: l.outcome})
	case actState:
		l.publish()
		l.herald.post(Progress{State: a.state})
	case actStarted:
		close(l.master.started)
	case actFinish:
		l.finished, l.err = true, a.err
	case actLog:
		l.log.put(a.level, a.msg, a.kv...)
	default:
		l.log.put(hclog.Error, "unknown action", "action", hclog.Fmt("%T", a))
	}
}

func (l *loop) arm(a actArm) {
	l.timers[a.ticket] = time.AfterFunc(a.after, func() {
		l.master.mail.post(note{ev: evTimer{ticket: a.ticket, inc: a.inc, slot: a.slot, gen: a.gen}})
	})
}

func (l *loop) disarm(t ticket) {
	if timer := l.timers[t]; timer != nil {
		timer.Stop()
	}
	delete(l.timers, t)
}
