package master

import "github.com/hashicorp/go-hclog"

// generation is one plan with its executable and sockets, which the loop holds.
type generation struct {
	id      int    // fixed
	build   string // fixed
	timing  timing // fixed
	state   GenState
	workers int // wanted; TTIN, TTOU and the load change it
	scaler  scaler

	// Of a candidate.
	step   Step // how far it came
	trial  trial
	doomed bool // its rejection only waits for the words of a process that was quit
}

// reach notes that the reload to g has come to step, and tells who wants to know.
func (m *machine) reach(g *generation, step Step) {
	if g.step == step || m.live == nil {
		return
	}
	g.step = step
	m.do(actProgress{caller: m.reload.caller, gen: g.id, step: step})
	m.log(hclog.Info, "reload", "gen", g.id, "step", step.String())
}

func (m *machine) moveGen(g *generation, to GenState) bool {
	if !g.state.may(to) {
		m.illegal("generation", g.state, to, "gen", g.id)
		return false
	}
	g.state = to
	return true
}
