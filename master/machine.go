package master

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
)

// machine decides. It is pure: no clock, goroutine, system call or log, so that every
// bug in it is a list of events.
//
// Events change the phase of a process or what is wanted; reconcile then derives from
// the whole state what is missing.
type machine struct {
	backoff backoff // fixed

	state State
	cause error // why it stops before any worker was ready
	deaf  bool  // its sockets were given up

	ducking ticket // the end of LameDuck, zero outside of it

	gens      []*generation // not released, oldest first
	live      *generation   // nil before the first worker was ready, and when stopping
	candidate *generation   // nil unless one boots
	slots     []*slot       // slots[i].id == i+1; only grows
	procs     map[incarnation]*process

	reload   reload
	reloads  reloads
	scalings scalings

	lastInc    incarnation
	lastTicket ticket
	lastGen    int

	// Of the current step.
	now  time.Time
	acts []action
}

// reload is the one that runs, and the one that is remembered.
type reload struct {
	loading int    // the generation whose plan is awaited, zero if none
	caller  uint64 // who waits for the answer, zero if nobody
	began   time.Time
	pending bool // one more was asked for
}

func newMachine(b backoff) *machine {
	return &machine{backoff: b, state: Starting, procs: make(map[incarnation]*process)}
}

// step takes one event and returns what is to be done, in order.
func (m *machine) step(now time.Time, ev event) []action {
	m.now, m.acts = now, nil
	m.handle(ev)
	m.reconcile()
	return m.acts
}

// handle is a flat switch. What concerns a process nobody knows any more is late, and
// late news is no news.
func (m *machine) handle(ev event) {
	switch ev := ev.(type) {
	case evStart:
		m.load()
	case evResumed:
		m.onResumed()
	case evLoaded:
		m.onLoaded(ev)
	case evLoadFailed:
		m.onLoadFailed(ev)
	case evSpawned:
		m.with(ev.inc, func(p *process) { m.onSpawned(p, ev) })
	case evSpawnFailed:
		m.with(ev.inc, func(p *process) { m.onSpawnFailed(p, ev) })
	case evHello:
		m.with(ev.inc, func(p *process) { m.onHello(p, ev) })
	case evReady:
		m.with(ev.inc, m.onReady)
	case evFailed:
		m.with(ev.inc, func(p *process) { m.onFailed(p, ev) })
	case evRetire:
		m.with(ev.inc, func(p *process) { m.onRetire(p, ev) })
	case evClosed:
		m.with(ev.inc, func(p *process) { m.onClosed(p, ev) })
	case evExited:
		m.with(ev.inc, func(p *process) { m.onExited(p, ev) })
	case evSick:
		m.with(ev.inc, func(p *process) { m.onSick(p, ev) })
	case evTimer:
		m.onTimer(ev)
	case evWeighed:
		m.onWeighed(ev)
	case evMeasured:
		m.onMeasured(ev)
	case evReload:
		m.onReload(ev)
	case evStop:
		m.onStop(ev)
	case evAdd:
		m.resize(+1)
	case evRemove:
		m.resize(-1)
	case evReopen:
		m.onReopen()
	default:
		m.log(hclog.Error, "unknown event", "event", fmt.Sprintf("%T", ev))
	}
}

func (m *machine) with(inc incarnation, f func(*process)) {
	if p := m.procs[inc]; p != nil {
		f(p)
	}
}

func (m *machine) onTimer(ev evTimer) {
	switch {
	case m.ducking != 0 && ev.ticket == m.ducking:
		m.ducking = 0
		m.stop(nil)
	case ev.gen != 0:
		m.onLook(ev)
	case ev.slot == 0:
		m.with(ev.inc, func(p *process) { m.onProcessTimer(p, ev) })
	default:
		if s := m.slots[ev.slot-1]; s.ticket == ev.ticket {
			s.ticket = 0
			m.awake(s)
		}
	}
}

// resize changes the number of workers by one, or the highest number if it follows the
// load. A reload takes the number of its plan again: the file is the truth.
func (m *machine) resize(by int) {
	for _, g := range []*generation{m.live, m.candidate} {
		if g == nil {
			continue
		}
		if g.scaler.on() {
			m.shift(g, by)
			continue
		}
		if g.workers+by < 1 {
			m.log(hclog.Warn, "the last worker stays", "gen", g.id)
			continue
		}
		g.workers += by
		m.log(hclog.Info, "number of workers changed", "gen", g.id, "workers", g.workers)
		m.do(actShare{g.id})
	}
}

func (m *machine) onReopen() {
	m.each(func(p *process) {
		if p.phase >= Booting && p.phase <= Draining && !p.lost {
			m.do(actReopen{p.inc})
		}
	})
}

// onStop ends everything: in order, or at once.
func (m *machine) onStop(ev evStop) {
	switch {
	case m.state >= Stopping:
	case !ev.now && (m.state == Serving || m.state == Reloading) && m.live.timing.lameDuck > 0:
		m.duck()
		return
	default:
		m.stop(nil)
	}
	if ev.now {
		m.each(func(p *process) {
			p.asked = true
			p.ends(stats.ExitStop)
			if p.phase < Killed {
				m.kill(p)
			}
		})
	}
}

// duck has whoever balances the load look elsewhere before anything ends. A second stop does
// not wait for that.
func (m *machine) duck() {
	m.moveState(LameDuck)
	if m.reload.loading != 0 {
		m.do(actCancelLoad{})
	}
	m.abandonReload()
	m.log(hclog.Info, "about to stop, not ready for new clients", "lame_duck", m.live.timing.lameDuck)
	m.lastTicket++
	m.ducking = m.lastTicket
	m.do(actArm{ticket: m.ducking, gen: m.live.id, why: timerLameDuck, after: m.live.timing.lameDuck})
}

// stop is the one way into Stopping. cause is nil if somebody asked for it.
func (m *machine) stop(cause error) {
	m.cause = cause
	m.moveState(Stopping)
	if m.ducking != 0 {
		m.do(actDisarm{m.ducking})
		m.ducking = 0
	}
	if m.reload.loading != 0 {
		m.do(actCancelLoad{})
	}
	for _, s := range m.slots {
		m.pardon(s)
	}
	m.abandonReload()
	if m.live != nil {
		m.moveGen(m.live, Retiring)
		m.live = nil
	}
	m.each(func(p *process) {
		if p.phase == Draining && p.asked && !p.lost && p.gen.timing.linger > 0 {
			// It drains for a reload, where idle connections may linger. Not now.
			m.do(actDrain{inc: p.inc, timeout: p.gen.timing.mercy})
		}
	})
}

func (m *machine) moveState(to State) {
	if !m.state.may(to) {
		m.illegal("master", m.state, to)
		return
	}
	m.state = to
	m.do(actState{to})
}

// each visits the processes in a fixed order: the same events must give the same actions,
// or a transcript would prove nothing.
func (m *machine) each(f func(*process)) {
	for _, s := range m.slots {
		for _, p := range s.procs {
			f(p)
		}
	}
}

func (m *machine) slot(id int) *slot {
	for len(m.slots) < id {
		m.slots = append(m.slots, &slot{id: len(m.slots) + 1})
	}
	return m.slots[id-1]
}

func (m *machine) do(a action) { m.acts = append(m.acts, a) }

func (m *machine) log(level hclog.Level, msg string, kv ...any) {
	m.do(actLog{level: level, msg: msg, kv: kv})
}

// illegal reports a move that the tables forbid. It is a bug of this package.
func (m *machine) illegal(what string, from, to fmt.Stringer, kv ...any) {
	m.log(hclog.Error, "illegal move", append([]any{"of", what, "from", from.String(), "to", to.String()}, kv...)...)
}

// misbehaved reports a worker that said something out of turn, and ends one that goes on.
func (m *machine) misbehaved(p *process, said string) {
	m.log(hclog.Error, "worker out of turn", p.fields("said", said, "phase", p.phase.String())...)
	if p.strays++; p.strays >= maxStrays {
		p.words = fmt.Sprintf("worker %d keeps talking out of turn", p.slot.id)
		m.kill(p)
		m.fail(p)
	}
}
