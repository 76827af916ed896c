package master

import (
	"slices"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// slot is a place for one worker. It outlives the processes that fill it, keeps their
// history, and is never removed: its totals would go with it.
type slot struct {
	id    int        // from 1; fixed
	procs []*process // oldest first; they overlap while one replaces another

	failures  int       // early deaths in a row
	notBefore time.Time // of the next spawn
	ticket    ticket    // the armed backoff timer, zero if none

	spawns    int
	spawnedAt time.Time // the last one
	lastExit  string
	lastWhy   stats.Exit // zero before the first
	exits     stats.Exits
}

func (s *slot) remove(p *process) {
	s.procs = slices.DeleteFunc(s.procs, func(q *process) bool { return q == p })
}

// staying returns the process of g that fills the slot now or will, nil if none.
func (s *slot) staying(g *generation) *process {
	for _, p := range s.procs {
		if p.gen == g && p.phase <= Ready && p.retiring == "" {
			return p
		}
	}
	return nil
}

// any returns a process of g that is ready or may become it, nil if none.
func (s *slot) any(g *generation) *process {
	for _, p := range s.procs {
		if p.gen == g && p.phase <= Ready {
			return p
		}
	}
	return nil
}

// ready reports whether a process of g serves in the slot.
func (s *slot) ready(g *generation) bool {
	return slices.ContainsFunc(s.procs, func(p *process) bool { return p.gen == g && p.phase == Ready })
}

// served is how long p has been ready.
func (m *machine) served(p *process) time.Duration {
	if p.readyAt.IsZero() {
		return 0
	}
	return m.now.Sub(p.readyAt)
}

// leaves notes that p asks for a successor. One that does so young has not run any better
// than one that dies young: without a pause it and its successors would cost the machine
// a fork each moment.
func (m *machine) leaves(p *process, reason string) {
	p.retiring = reason
	if p.gen == m.live && m.served(p) < m.backoff.healthy {
		m.fail(p)
	}
}

// punish makes the slot of p wait for its next process.
func (m *machine) punish(p *process) {
	s := p.slot
	var wait time.Duration
	s.failures, wait = m.backoff.next(s.failures, m.served(p))
	s.notBefore = m.now.Add(wait)
}

// pardon forgets the failures of a slot: they were another program's, or it is over.
func (m *machine) pardon(s *slot) {
	s.failures = 0
	m.awake(s)
}

// awake ends the wait of a slot.
func (m *machine) awake(s *slot) {
	s.notBefore = time.Time{}
	if s.ticket != 0 {
		m.do(actDisarm{s.ticket})
	}
	s.ticket = 0
}

// spawnWhenDue starts a process of g in s, or sees to it that a timer is running for it.
// What counts is the time, not the timer: whatever else makes the slot be looked at again
// starts nothing early.
func (m *machine) spawnWhenDue(s *slot, g *generation) {
	wait := s.notBefore.Sub(m.now)
	if wait <= 0 {
		m.awake(s)
		m.spawn(s, g)
		return
	}
	if s.ticket == 0 {
		m.lastTicket++
		s.ticket = m.lastTicket
		m.do(actArm{ticket: s.ticket, slot: s.id, why: timerBackoff, after: wait})
	}
}
