package master

// generation is one plan with its executable and sockets, which the loop holds.
type generation struct {
	id      int    // fixed
	build   string // fixed
	timing  timing // fixed
	state   GenState
	workers int // wanted; TTIN and TTOU change it
}

func (m *machine) moveGen(g *generation, to GenState) bool {
	if !g.state.may(to) {
		m.illegal("generation", g.state, to, "gen", g.id)
		return false
	}
	g.state = to
	return true
}
