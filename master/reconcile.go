package master

import (
	"slices"

	"github.com/seed17661985/ostler/stats"
)

// reconcile compares what is wanted with what is there. It is run after every event, and
// running it twice does nothing more.
func (m *machine) reconcile() {
	if m.state < Stopping {
		m.fillCandidate()
		m.fillLive()
	}
	m.dismissSurplus()
	m.releaseGenerations()
	m.settle()
}

// fillCandidate boots the candidate and promotes it once it has shown enough.
//
// The first generation boots everywhere at once and needs one ready worker: there is
// nothing to protect yet. A later one sends a canary, then the rest, as many at a time as
// there is room for, and needs all of them to serve and to pass their probation.
func (m *machine) fillCandidate() {
	g := m.candidate
	if g == nil || g.doomed {
		return
	}
	boot, need := g.workers, g.workers
	if m.live == nil {
		need = 1
	} else if !m.proven(g) {
		boot = 1
	} else {
		m.try(g)
	}
	ready, missing := 0, 0
	for id := 1; id <= boot; id++ {
		s := m.slot(id)
		switch {
		case s.ready(g):
			ready++
		case s.any(g) == nil:
			missing++
			if m.room(g) {
				m.spawn(s, g)
			}
		}
	}
	if boot > 1 && ready < need && missing > 0 {
		m.reach(g, StepRoll)
	}
	if ready >= need && (m.live == nil || m.complete(g)) {
		m.promote()
	}
}

// room reports whether one more process of the candidate may run beside the others. The
// ones that still drain count: it is the machine's memory that is short.
func (m *machine) room(g *generation) bool {
	if g.timing.surge == 0 || m.live == nil {
		return true
	}
	return len(m.procs) < max(m.live.workers, g.workers)+g.timing.surge
}

// ceded reports whether the candidate serves in the place of the live generation in s. It
// does so only where there is no room for both.
func (m *machine) ceded(s *slot) bool {
	c := m.candidate
	return c != nil && c.timing.surge > 0 && m.live != nil && s.id <= c.workers && s.ready(c)
}

// proven reports whether a worker of g is ready.
func (m *machine) proven(g *generation) bool {
	return slices.ContainsFunc(m.slots, func(s *slot) bool { return s.ready(g) })
}

// fillLive keeps one worker that stays in each slot, and lets one that retires go when
// its successor serves, be that of the same generation or of the one to come.
func (m *machine) fillLive() {
	if m.live == nil {
		return
	}
	for id := 1; id <= m.live.workers; id++ {
		s := m.slot(id)
		if m.ceded(s) {
			m.pardon(s)
			m.dismissAll(s, m.live, stats.ExitReload)
			continue
		}
		staying := s.staying(m.live)
		if staying == nil {
			if !m.canWait(s) || !m.recycling() {
				m.spawnWhenDue(s, m.live)
			}
			continue
		}
		if staying.phase != Ready {
			continue
		}
		for _, p := range s.procs {
			if p.gen == m.live && p.phase == Ready && p.retiring != "" {
				p.ends(retirement(p.retiring))
				m.drain(p, p.gen.timing.mercy)
			}
		}
	}
}

// canWait reports whether the process in s only wishes to be replaced, and serves until then.
// One with a request that overran has lost a slot or more, and does not wait.
func (m *machine) canWait(s *slot) bool {
	for _, p := range s.procs {
		if p.gen == m.live && p.phase == Ready && !p.ailing && retirement(p.retiring) != stats.ExitHarakiri {
			return true
		}
	}
	return false
}

// recycling reports whether a worker that can wait is being replaced: one at a time, or all
// that were started together and have grown alike would go together.
func (m *machine) recycling() bool {
	for _, s := range m.slots[:min(m.live.workers, len(m.slots))] {
		if next := s.staying(m.live); next != nil && next.starting() && m.canWait(s) {
			return true
		}
	}
	return false
}

// dismissAll ends the processes of g in s.
func (m *machine) dismissAll(s *slot, g *generation, why stats.Exit) {
	for _, p := range s.procs {
		if p.gen == g && p.phase <= Ready {
			p.ends(why)
			m.dismiss(p)
		}
	}
}

// dismissSurplus ends the processes that no generation wants: those of a generation that
// is over, and those in slots beyond the number of workers. A slot that is not wanted
// owes nothing either: brought back, it starts without the backoff it had.
func (m *machine) dismissSurplus() {
	m.each(func(p *process) {
		over := p.gen.state != Candidate && p.gen.state != Live
		if p.phase <= Ready && (over || p.slot.id > p.gen.workers) && !m.standsIn(p) {
			m.dismiss(p)
		}
	})
	if m.live == nil {
		return
	}
	for _, s := range m.slots[min(m.live.workers, len(m.slots)):] {
		m.pardon(s)
	}
}

// standsIn reports whether p, whose generation does not want it, serves in a slot of the
// live one in which nobody else does: a reload that is taken back starts the old worker
// before it stops the new one.
func (m *machine) standsIn(p *process) bool {
	return (p.gen.state == Rejected || p.gen.state == Candidate) && p.phase == Ready && !p.lost &&
		m.live != nil && p.slot.id <= m.live.workers && !p.slot.ready(m.live) && !m.ceded(p.slot)
}

// releaseGenerations lets go of those that are over and empty.
func (m *machine) releaseGenerations() {
	m.gens = slices.DeleteFunc(m.gens, func(g *generation) bool {
		if g.state != Retiring && g.state != Rejected || m.populated(g) {
			return false
		}
		rejected := g.state == Rejected
		if !rejected {
			m.moveGen(g, Gone)
		}
		m.do(actRelease{gen: g.id, rejected: rejected})
		return true
	})
}

func (m *machine) populated(g *generation) bool {
	for _, p := range m.procs {
		if p.gen == g {
			return true
		}
	}
	return false
}

// settle moves the master on when what it waited for is there. It comes last, because
// everything before it may have changed the answer, and starts nothing but a load.
func (m *machine) settle() {
	switch m.state {
	case Starting:
		if m.live != nil && m.filled(m.live) {
			m.moveState(Serving)
			m.do(actStarted{})
		}
	case Stopping:
		if !m.deaf && !m.launching() {
			m.deaf = true
			m.do(actDeafen{})
		}
		if len(m.procs) == 0 && m.reload.loading == 0 {
			m.moveState(Stopped)
			m.do(actFinish{m.cause})
		}
	}
	if m.state == Serving && m.reload.pending {
		m.beginReload()
	}
}

// launching reports whether a fork is under way. It is given the sockets by number, and
// a number that was closed may be another file's. A kill that was decided meanwhile does
// not end it, so the phase does not tell.
func (m *machine) launching() bool {
	for _, p := range m.procs {
		if p.pid == 0 {
			return true
		}
	}
	return false
}

// filled reports whether every slot of g serves, or has shown that it cannot for now.
func (m *machine) filled(g *generation) bool {
	for id := 1; id <= g.workers; id++ {
		if s := m.slot(id); !s.ready(g) && s.failures == 0 {
			return false
		}
	}
	return true
}
