package master

import (
	"fmt"
	"math"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// tally is what a generation has answered: requests, and how many of them with a 5xx.
type tally struct{ requests, errors uint64 }

func (t tally) plus(c stats.Counters) tally {
	return tally{t.requests + c.Requests, t.errors + c.Status[5]}
}

func (t tally) minus(o tally) tally { return tally{t.requests - o.requests, t.errors - o.errors} }

func (t tally) rate() float64 {
	if t.requests == 0 {
		return 0
	}
	return float64(t.errors) / float64(t.requests)
}

// chance is how many standard deviations of bad luck a candidate is granted.
const chance = 3

// worse reports whether the candidate answered more 5xx than the old generation's share
// explains: the greater of its share in the same time, which has what befalls both (a
// database that just went away), and that of its life, which has what few requests of a
// short time cannot show. Where the old one never failed, one failure is more.
func worse(candidate, sameTime, life tally) bool {
	expected := max(sameTime.rate(), life.rate()) * float64(candidate.requests)
	return float64(candidate.errors) > expected+chance*math.Sqrt(expected)
}

// The candidate is looked at so often in its probation, and no more often than each tick:
// clients of a program that answers 500 should not have to wait for the end of it.
const (
	looks    = 10
	lookTick = 50 * time.Millisecond
)

// trial is what is known of a candidate that serves beside the live generation.
//
// Invariant: from its first ready worker on, unless there is no probation, either a look is
// under way or the ticket is armed.
type trial struct {
	began    bool
	weighed  bool
	base     tally  // of the live generation when it was weighed first
	ticket   ticket // of the next look
	deadline time.Time
	passed   bool
}

// try begins the trial of the candidate, whose first worker is ready.
func (m *machine) try(g *generation) {
	if g.trial.began || g.timing.probation == 0 || m.live == nil {
		return
	}
	g.trial.began = true
	m.do(actWeigh{g.id})
}

// onWeighed judges the candidate, and looks again later.
func (m *machine) onWeighed(ev evWeighed) {
	g := m.candidate
	if g == nil || g.id != ev.gen {
		return
	}
	t := &g.trial
	if !t.weighed {
		t.weighed, t.base = true, ev.live
	}
	if old := ev.live.minus(t.base); worse(ev.candidate, old, ev.live) {
		m.reject(fmt.Sprintf("its workers answered %d of %d requests with a 5xx status, the old ones %d of %d in the same time",
			ev.candidate.errors, ev.candidate.requests, old.errors, old.requests), "", nil)
		return
	}
	if !t.deadline.IsZero() && !m.now.Before(t.deadline) {
		t.passed = true
		return
	}
	m.look(g)
}

// look arms the timer of the next look.
func (m *machine) look(g *generation) {
	wait := max(g.timing.probation/looks, lookTick)
	if !g.trial.deadline.IsZero() {
		wait = min(wait, max(g.trial.deadline.Sub(m.now), time.Millisecond))
	}
	m.lastTicket++
	g.trial.ticket = m.lastTicket
	m.do(actArm{ticket: m.lastTicket, gen: g.id, why: timerLook, after: wait})
}

// onLook: it is time to look at the candidate again.
func (m *machine) onLook(ev evTimer) {
	if g := m.candidate; g != nil && g.id == ev.gen && g.trial.ticket == ev.ticket {
		g.trial.ticket = 0
		m.do(actWeigh{g.id})
	}
}

// complete is called while all workers of the candidate are ready, and reports whether
// nothing more is asked of them.
func (m *machine) complete(g *generation) bool {
	if g.timing.probation == 0 {
		return true
	}
	if g.trial.deadline.IsZero() {
		g.trial.deadline = m.now.Add(g.timing.probation)
		m.reach(g, StepProbation)
	}
	return g.trial.passed
}

// endTrial is for a candidate that is none any more.
func (m *machine) endTrial(g *generation) {
	if g.trial.ticket != 0 {
		m.do(actDisarm{g.trial.ticket})
		g.trial.ticket = 0
	}
}
