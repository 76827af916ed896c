package master

import (
	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
)

// scalings are the changes of the number of workers that the load made.
type scalings stats.Scalings

// begin is how many workers a new generation has. One that replaces another begins with as
// many as serve: there is the same to do.
func (g *generation) begin(live *generation) {
	if !g.scaler.on() {
		return
	}
	g.workers = g.scaler.Rule.Initial
	if live != nil {
		g.workers = min(max(live.workers, g.scaler.Rule.Least), g.scaler.Most)
	}
}

// onMeasured lets the number of workers follow the load. While a reload runs it stands still:
// what the generations are compared by, and the room there is for both, would move. A lame
// duck is left as it is: its clients go, and so will all its workers.
func (m *machine) onMeasured(ev evMeasured) {
	g := m.live
	if g == nil || g.id != ev.gen || !g.scaler.on() {
		return
	}
	if m.state != Serving {
		g.scaler.restart()
		return
	}
	to, why := g.scaler.decide(ev.reading, m.serving(g), g.workers)
	if to == g.workers {
		return
	}
	if to > g.workers {
		m.scalings.Up++
	} else {
		m.scalings.Down++
	}
	m.log(hclog.Info, "number of workers changed", "gen", g.id, "workers", to, "before", g.workers, "reason", why)
	g.workers = to
	m.do(actShare{g.id})
}

// serving counts the slots, from the first on, in all of which a worker of g serves. The last
// ones are taken away first.
func (m *machine) serving(g *generation) (n int) {
	for n < g.workers && m.slot(n+1).ready(g) {
		n++
	}
	return n
}

// shift changes the highest number of workers of a generation whose number follows the load.
func (m *machine) shift(g *generation, by int) {
	most := g.scaler.Most + by
	if most < g.scaler.Rule.Least {
		m.log(hclog.Warn, "as many workers stay as cheaper says", "gen", g.id, "workers", g.workers)
		return
	}
	before := g.workers
	g.scaler.Most = most
	g.workers = min(g.workers, most)
	m.log(hclog.Info, "highest number of workers changed", "gen", g.id, "highest", most, "workers", g.workers)
	if g.workers != before {
		m.do(actShare{g.id})
	}
}

// crew is how many workers there should be: now, at least and at most.
type crew struct{ wanted, least, most int }

func crewOf(g *generation) crew {
	if g.scaler.on() {
		return crew{g.workers, g.scaler.Rule.Least, g.scaler.Most}
	}
	return crew{g.workers, g.workers, g.workers}
}
