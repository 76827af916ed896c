package master

import "slices"

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
// nothing to protect yet. A later one sends a canary, then the rest, and needs all.
func (m *machine) fillCandidate() {
	g := m.candidate
	if g == nil {
		return
	}
	boot, need := g.workers, g.workers
	if m.live == nil {
		need = 1
	} else if !m.proven(g) {
		boot = 1
	}
	ready := 0
	for id := 1; id <= boot; id++ {
		s := m.slot(id)
		if s.any(g) == nil {
			m.spawn(s, g)
		}
		if s.ready(g) {
			ready++
		}
	}
	if ready >= need {
		m.promote()
	}
}

// proven reports whether a worker of g is ready.
func (m *machine) proven(g *generation) bool {
	return slices.ContainsFunc(m.slots, func(s *slot) bool { return s.ready(g) })
}

// fillLive keeps one worker that stays in each slot, and lets one that retires go when
// its successor serves.
func (m *machine) fillLive() {
	if m.live == nil {
		return
	}
	for id := 1; id <= m.live.workers; id++ {
		s := m.slot(id)
		staying := s.staying(m.live)
		if staying == nil {
			m.spawnWhenDue(s, m.live)
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

// dismissSurplus ends the processes that no generation wants: those of a generation that
// is over, and those in slots beyond the number of workers. A slot that is not wanted
// owes nothing either: brought back, it starts without the backoff it had.
func (m *machine) dismissSurplus() {
	m.each(func(p *process) {
		over := p.gen.state != Candidate && p.gen.state != Live
		if p.phase <= Ready && (over || p.slot.id > p.gen.workers) {
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
