package master

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

const (
	drainSlack = 2 * time.Second // a worker cuts its own requests first, and says which
	bootMercy  = 5 * time.Second // to leave New when the master stops
	failGrace  = 5 * time.Second // to exit after Failed
	closeGrace = 5 * time.Second // to exit after the control connection ended
	killGrace  = 5 * time.Second // to die of SIGKILL, before it is sent again
	quitGrace  = 2 * time.Second // to print its stacks and die of SIGQUIT

	maxStrays = 3 // frames out of turn, after which a worker is not worth listening to
)

// timerKind is what a process's one timer waits for.
type timerKind uint8

const (
	timerBoot timerKind = iota + 1
	timerDrain
	timerKill
	timerQuit
	timerBackoff // of a slot
	timerLook    // of a candidate
	timerLameDuck
)

func (k timerKind) String() string {
	switch k {
	case timerBoot:
		return "boot"
	case timerDrain:
		return "drain"
	case timerKill:
		return "kill"
	case timerQuit:
		return "quit"
	case timerBackoff:
		return "backoff"
	case timerLook:
		return "look"
	case timerLameDuck:
		return "lame-duck"
	}
	return fmt.Sprintf("timerKind(%d)", uint8(k))
}

// process is one worker process, from the decision to start it until it is reaped.
type process struct {
	inc   incarnation // fixed
	slot  *slot       // fixed
	gen   *generation // fixed
	phase Phase
	pid   int // zero until launched

	// Invariant: armed unless phase is Ready or Exited; a Ready process has a timer only
	// while lost.
	ticket ticket
	timer  timerKind
	due    time.Time // when it runs out

	spawnedAt time.Time
	readyAt   time.Time // zero: it never was

	asked    bool       // its end was decided here, so it is no failure
	ending   stats.Exit // why, once that is decided
	failed   bool       // the verdict of fail was passed
	lost     bool       // it cannot be told anything any more
	retiring string     // it is to have a successor, for this reason
	worn     bool       // that was found out here, and it has not said so itself
	ailing   bool       // it said Failed while it served
	strays   int        // frames out of turn
	stage    string     // where it says it failed
	words    string     // why it cannot start, its own words if it had any
	output   string     // what it printed when that can tell why
}

// starting reports whether p may still become ready.
func (p *process) starting() bool { return p.phase == Spawning || p.phase == Booting }

// fields are the log pairs that name p.
func (p *process) fields(more ...any) []any {
	return append([]any{"slot", p.slot.id, "gen", p.gen.id, "pid", p.pid}, more...)
}

// ended says how p ended in a sentence, given that how is its exit.
func (p *process) ended(how string) string {
	if p.words != "" {
		return p.words
	}
	when := "before it was ready"
	if !p.readyAt.IsZero() {
		when = "right after it was ready"
	}
	return fmt.Sprintf("worker %d %s %s", p.slot.id, how, when)
}

func (m *machine) move(p *process, to Phase) bool {
	if !p.phase.may(to) {
		m.illegal("process", p.phase, to, p.fields()...)
		return false
	}
	p.phase = to
	return true
}

func (m *machine) arm(p *process, why timerKind, after time.Duration) {
	m.disarm(p)
	m.lastTicket++
	p.ticket, p.timer, p.due = m.lastTicket, why, m.now.Add(after)
	m.do(actArm{ticket: p.ticket, inc: p.inc, why: why, after: after})
}

func (m *machine) disarm(p *process) {
	if p.ticket != 0 {
		m.do(actDisarm{p.ticket})
	}
	p.ticket = 0
}

func (m *machine) spawn(s *slot, g *generation) {
	m.lastInc++
	p := &process{inc: m.lastInc, slot: s, gen: g, phase: Spawning, spawnedAt: m.now}
	m.procs[p.inc] = p
	s.procs = append(s.procs, p)
	s.spawns++
	s.spawnedAt = m.now
	m.do(actSpawn{inc: p.inc, slot: s.id, gen: g.id})
	m.arm(p, timerBoot, g.timing.start)
}

// drain asks p to finish what it has and go.
func (m *machine) drain(p *process, timeout time.Duration) {
	p.asked = true
	if p.lost {
		m.kill(p)
		return
	}
	if !m.move(p, Draining) {
		return
	}
	linger := p.gen.timing.linger
	if m.state == Stopping {
		linger = 0
	}
	m.do(actDrain{inc: p.inc, timeout: timeout, linger: linger})
	m.arm(p, timerDrain, timeout+drainSlack)
}

func (m *machine) kill(p *process) {
	if !m.move(p, Killed) {
		return
	}
	if p.pid != 0 {
		m.do(actKill{p.inc})
	}
	m.arm(p, timerKill, killGrace)
}

// quit is kill for a process whose stacks are worth reading.
func (m *machine) quit(p *process) {
	if p.pid == 0 {
		m.kill(p)
		return
	}
	if m.move(p, Killed) {
		m.do(actQuit{p.inc})
		m.arm(p, timerQuit, quitGrace)
	}
}

// dismiss ends p because it is not wanted any more. One that never served has nothing
// to finish; only when the master stops in order is it given the time to leave New.
func (m *machine) dismiss(p *process) {
	p.ends(m.dismissal(p))
	switch {
	case p.phase == Ready:
		m.drain(p, p.gen.timing.mercy)
	case p.phase == Booting && m.state == Stopping && m.cause == nil:
		m.drain(p, min(bootMercy, p.gen.timing.mercy))
	default:
		p.asked = true
		m.kill(p)
	}
}

func (m *machine) onSpawned(p *process, ev evSpawned) {
	p.pid = ev.pid
	if p.phase == Killed { // decided while it was being launched
		m.do(actKill{p.inc})
	}
}

func (m *machine) onHello(p *process, ev evHello) {
	switch {
	case p.phase == Killed:
	case p.phase != Spawning:
		m.misbehaved(p, "hello")
	case ev.version != control.Version:
		p.words = fmt.Sprintf("worker %d speaks version %d of the process contract, this master version %d",
			p.slot.id, ev.version, control.Version)
		m.kill(p)
		m.fail(p)
	case m.move(p, Booting):
		m.do(actSetup{p.inc})
	}
}

func (m *machine) onReady(p *process) {
	switch {
	case p.phase == Draining || p.phase == Killed: // too late
	case p.phase != Booting:
		m.misbehaved(p, "ready")
	case m.move(p, Ready):
		m.disarm(p)
		p.readyAt = m.now
		m.log(hclog.Info, "worker ready", p.fields("boot", p.readyAt.Sub(p.spawnedAt))...)
	}
}

func (m *machine) onFailed(p *process, ev evFailed) {
	switch p.phase {
	case Draining, Killed: // it is going anyway
	case Ready:
		if p.ailing {
			m.misbehaved(p, "failed")
			return
		}
		// It serves still, or its exit will tell. Its successor starts first.
		p.ailing = true
		m.leaves(p, cmp.Or(ev.err, "failed"))
		m.log(hclog.Error, "worker fails", p.fields("stage", ev.stage, "err", ev.err)...)
		if p.gen == m.candidate {
			p.words = ev.err
			m.fail(p)
		}
	case Booting:
		p.stage, p.words = ev.stage, ev.err
		if m.move(p, Draining) {
			m.arm(p, timerDrain, failGrace)
		}
		m.fail(p)
	default:
		p.stage, p.words = ev.stage, ev.err
		m.kill(p)
		m.fail(p)
	}
}

func (m *machine) onRetire(p *process, ev evRetire) {
	if p.phase > Ready {
		return // it is going anyway
	}
	if p.retiring != "" {
		if !ev.ours && !p.worn {
			m.misbehaved(p, "retire")
		}
		p.worn = false // it may say once what was found out already
		return
	}
	p.worn = ev.ours
	m.leaves(p, cmp.Or(ev.reason, "no reason given"))
	m.log(hclog.Info, "worker retires", p.fields("reason", p.retiring)...)
	if p.gen == m.candidate && retirement(p.retiring) == stats.ExitHarakiri {
		p.words = fmt.Sprintf("worker %d overran: %s", p.slot.id, p.retiring)
		m.fail(p)
	}
}

// onSick ends a process at once: it cannot be asked, or must not be waited for. One that is
// wedged leaves its stacks first.
func (m *machine) onSick(p *process, ev evSick) {
	if p.phase != Ready {
		return // its timer is running
	}
	p.words = fmt.Sprintf("worker %d %s", p.slot.id, ev.text)
	p.ends(ev.why)
	m.log(hclog.Error, "worker is ended", p.fields("reason", ev.text)...)
	if ev.why == stats.ExitUnresponsive {
		m.quit(p)
	} else {
		m.kill(p)
	}
	m.fail(p)
}

// onClosed: the end of a control connection usually comes a moment before the exit. A
// process that stays can be neither told nor heard, so its time is limited.
func (m *machine) onClosed(p *process, ev evClosed) {
	if ev.err != nil {
		m.log(hclog.Warn, "control connection broken", p.fields("err", ev.err)...)
	}
	p.lost = true
	if p.phase <= Ready {
		m.arm(p, timerKill, closeGrace)
	}
}

func (m *machine) onProcessTimer(p *process, ev evTimer) {
	if p.ticket != ev.ticket {
		return // it was replaced while it fired
	}
	p.ticket = 0
	switch {
	case p.timer == timerBoot:
		p.words = fmt.Sprintf("worker %d was not ready within %s (start-timeout)", p.slot.id, p.gen.timing.start)
		m.quit(p)
		if p.gen == m.candidate {
			p.gen.doomed = true // its stacks, at its exit, say where it hangs
		} else {
			m.fail(p)
		}
	case p.timer == timerQuit:
		m.do(actKill{p.inc})
		m.arm(p, timerKill, killGrace)
	case p.timer == timerDrain:
		m.log(hclog.Warn, "worker outlived its drain", p.fields()...)
		p.ending = stats.ExitUnresponsive // whatever it was asked to go for
		m.kill(p)
	case p.phase == Killed && p.pid == 0: // its launch is still under way
		m.arm(p, timerKill, killGrace)
	case p.phase == Killed:
		m.log(hclog.Error, "worker survives SIGKILL", p.fields()...)
		m.do(actKill{p.inc})
		m.arm(p, timerKill, killGrace)
	default:
		p.words = fmt.Sprintf("worker %d closed its control connection and did not exit", p.slot.id)
		m.kill(p)
		m.fail(p)
	}
}

func (m *machine) onExited(p *process, ev evExited) {
	clean := p.asked || p.retiring != "" && ev.exit == Exit{}
	p.output = ev.words.Crash
	if p.output == "" && p.readyAt.IsZero() {
		p.output = ev.words.Printed
	}
	m.bury(p, ev.exit.String(), p.why(ev.exit, p.phase == Killed), clean)
}

func (m *machine) onSpawnFailed(p *process, ev evSpawnFailed) {
	if p.words == "" {
		p.words = fmt.Sprintf("worker %d: %v", p.slot.id, ev.err)
	}
	m.bury(p, "was not started: "+ev.err.Error(), p.why(Exit{}, false), p.asked)
}

// bury takes a finished process out of its slot.
func (m *machine) bury(p *process, how string, why stats.Exit, clean bool) {
	if !m.move(p, Exited) {
		return
	}
	m.disarm(p)
	delete(m.procs, p.inc)
	p.slot.remove(p)
	p.slot.count(why, how)
	if !clean && p.pid != 0 {
		m.do(actReport{p.inc, crash{
			slot: p.slot.id, gen: p.gen.id, build: p.gen.build, pid: p.pid, spawned: p.spawnedAt, died: m.now,
			ready: !p.readyAt.IsZero(), why: why, how: how, words: p.output,
		}})
	}
	m.do(actBury{inc: p.inc, slot: p.slot.id})
	if clean {
		m.log(hclog.Info, "worker gone", p.fields("exit", how)...)
		return
	}
	more := []any{"exit", how}
	if p.words != "" {
		more = append(more, "reason", p.words)
	}
	if p.gen == m.live {
		m.fail(p)
		more = append(more, "respawn_in", max(p.slot.notBefore.Sub(m.now), 0))
	}
	m.log(hclog.Warn, "worker died", p.fields(more...)...)
	p.words = p.ended(how)
	m.fail(p)
}
