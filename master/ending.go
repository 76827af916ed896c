package master

import (
	"strings"

	"github.com/seed17661985/ostler/stats"
)

// ends notes why p is told to go. The first reason stays: a worker that retires and then
// meets a reload was on its way already.
func (p *process) ends(why stats.Exit) {
	if p.ending == 0 {
		p.ending = why
	}
}

// dismissal is why a process that nobody wants is sent away.
func (m *machine) dismissal(p *process) stats.Exit {
	switch {
	case m.state >= Stopping:
		return stats.ExitStop
	case p.gen.state == Candidate || p.gen.state == Live:
		return stats.ExitResize
	}
	return stats.ExitReload
}

// retirement is the reason a worker gave for its wish to be replaced. One of the limits it
// watches by itself is named at its beginning, as in "memory: 612 MiB".
func retirement(reason string) stats.Exit {
	word, _, _ := strings.Cut(reason, ":")
	for e := stats.ExitHarakiri; e <= stats.ExitMaxRequests; e++ {
		if e.String() == word {
			return e
		}
	}
	return stats.ExitRetired
}

// why is the one reason under which the end of p is counted. A death that nobody here
// decided counts as that, even if it came while p was asked to go.
func (p *process) why(exit Exit, killed bool) stats.Exit {
	switch {
	case exit.Signal != 0 && !killed && !p.readyAt.IsZero():
		return stats.ExitSignal
	case p.ending != 0:
		return p.ending
	case p.readyAt.IsZero():
		return stats.ExitStartFailed
	case killed:
		return stats.ExitUnresponsive
	case p.retiring != "" && exit == Exit{}:
		return retirement(p.retiring)
	case exit.Signal != 0:
		return stats.ExitSignal
	}
	return stats.ExitStatus
}

// count adds the end of a process to its slot's.
func (s *slot) count(why stats.Exit, how string) {
	s.exits[why-1]++
	s.lastExit, s.lastWhy = how, why
}

// count adds the end of a reload.
func (r *reloads) count(step Step) {
	switch step {
	case StepLive:
		r.OK++
	case StepRoll, StepProbation:
		r.RolledBack++
	default:
		r.Rejected++
	}
}

// reloads are all there have been, by how they ended.
type reloads stats.Reloads
