package master

import (
	"time"

	"github.com/seed17661985/ostler/stats"
)

// machineLegacy is a machine at rest, for the program that takes this one's place in the
// same process. What the next one can derive is left out.
type machineLegacy struct {
	Generations []generationLegacy // oldest first
	Slots       []slotLegacy
	Processes   []processLegacy // in the order of their slots and ages
	Reloads     stats.Reloads
	Scalings    stats.Scalings
	LastInc     incarnation
	LastGen     int
	LastTicket  ticket
}

type generationLegacy struct {
	ID      int
	Build   string
	State   GenState
	Workers int
	Scaler  scaler
	Timing  timingLegacy
}

type timingLegacy struct {
	Start, Mercy, Linger, Probation, LameDuck time.Duration
	Surge                                     int
}

type slotLegacy struct {
	Failures  int
	NotBefore time.Time
	Spawns    int
	SpawnedAt time.Time
	LastExit  string
	LastWhy   stats.Exit
	Exits     stats.Exits
}

type processLegacy struct {
	Inc   incarnation
	Slot  int
	Gen   int
	Phase Phase
	PID   int
	Timer timerKind // zero: none is armed
	Due   time.Time

	SpawnedAt, ReadyAt time.Time

	Asked, Failed, Lost, Ailing, Worn bool
	Ending                            stats.Exit
	Retiring                          string
	Strays                            int
	Stage, Words                      string
}

// resting reports whether the machine can be handed over: nothing is starting, nothing is
// being decided. What drains, or waits for its backoff, can.
func (m *machine) resting() bool {
	if m.state != Serving || m.candidate != nil || m.reload.loading != 0 || m.reload.pending {
		return false
	}
	for _, p := range m.procs {
		if p.starting() || p.pid == 0 {
			return false
		}
	}
	return m.filled(m.live)
}

// legacy describes a machine that is resting.
func (m *machine) legacy() machineLegacy {
	l := machineLegacy{Reloads: stats.Reloads(m.reloads), Scalings: stats.Scalings(m.scalings), LastInc: m.lastInc, LastGen: m.lastGen, LastTicket: m.lastTicket}
	for _, g := range m.gens {
		t := g.timing
		l.Generations = append(l.Generations, generationLegacy{
			ID: g.id, Build: g.build, State: g.state, Workers: g.workers, Scaler: g.scaler,
			Timing: timingLegacy{Start: t.start, Mercy: t.mercy, Linger: t.linger, Probation: t.probation, LameDuck: t.lameDuck, Surge: t.surge},
		})
	}
	for _, s := range m.slots {
		l.Slots = append(l.Slots, slotLegacy{
			Failures: s.failures, NotBefore: s.notBefore, Spawns: s.spawns, SpawnedAt: s.spawnedAt,
			LastExit: s.lastExit, LastWhy: s.lastWhy, Exits: s.exits,
		})
	}
	m.each(func(p *process) { l.Processes = append(l.Processes, p.legacy()) })
	return l
}

func (p *process) legacy() processLegacy {
	l := processLegacy{
		Inc: p.inc, Slot: p.slot.id, Gen: p.gen.id, Phase: p.phase, PID: p.pid,
		SpawnedAt: p.spawnedAt, ReadyAt: p.readyAt,
		Asked: p.asked, Failed: p.failed, Lost: p.lost, Ailing: p.ailing, Worn: p.worn,
		Ending: p.ending, Retiring: p.retiring, Strays: p.strays, Stage: p.stage, Words: p.words,
	}
	if p.ticket != 0 {
		l.Timer, l.Due = p.timer, p.due
	}
	return l
}

// resume makes a machine of what another one left. Its timers are armed by evResumed.
func resume(b backoff, l machineLegacy) *machine {
	m := newMachine(b)
	m.scalings = scalings(l.Scalings)
	m.state, m.reloads, m.lastInc, m.lastGen, m.lastTicket = Serving, reloads(l.Reloads), l.LastInc, l.LastGen, l.LastTicket
	gens := make(map[int]*generation)
	for _, g := range l.Generations {
		t := g.Timing
		gens[g.ID] = &generation{
			id: g.ID, build: g.Build, state: g.State, workers: g.Workers, scaler: g.Scaler,
			timing: timing{start: t.Start, mercy: t.Mercy, linger: t.Linger, probation: t.Probation, lameDuck: t.LameDuck, surge: t.Surge},
		}
		m.gens = append(m.gens, gens[g.ID])
		if g.State == Live {
			m.live = gens[g.ID]
		}
	}
	for i, s := range l.Slots {
		m.slots = append(m.slots, &slot{
			id: i + 1, failures: s.Failures, notBefore: s.NotBefore, spawns: s.Spawns, spawnedAt: s.SpawnedAt,
			lastExit: s.LastExit, lastWhy: s.LastWhy, exits: s.Exits,
		})
	}
	for _, p := range l.Processes {
		m.adopt(p, gens[p.Gen])
	}
	return m
}

func (m *machine) adopt(l processLegacy, g *generation) {
	p := &process{
		inc: l.Inc, slot: m.slots[l.Slot-1], gen: g, phase: l.Phase, pid: l.PID, timer: l.Timer, due: l.Due,
		spawnedAt: l.SpawnedAt, readyAt: l.ReadyAt,
		asked: l.Asked, failed: l.Failed, lost: l.Lost, ailing: l.Ailing, worn: l.Worn,
		ending: l.Ending, retiring: l.Retiring, strays: l.Strays, stage: l.Stage, words: l.Words,
	}
	m.procs[p.inc] = p
	p.slot.procs = append(p.slot.procs, p)
}

// onResumed arms the timers of the processes for the rest of their time.
func (m *machine) onResumed() {
	m.each(func(p *process) {
		if p.timer != 0 {
			m.arm(p, p.timer, max(p.due.Sub(m.now), time.Millisecond))
		}
	})
}
