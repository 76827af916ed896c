package master

import (
	"github.com/hashicorp/go-hclog"
)

// onReload starts a reload, remembers it, or refuses it.
func (m *machine) onReload(ev evReload) {
	switch m.state {
	case Serving:
		m.reload.caller = ev.caller
		m.beginReload()
	case Starting, Reloading:
		if ev.caller == 0 {
			// A burst of signals means one thing: the newest program, please.
			m.reload.pending = true
			return
		}
		err := ErrReloadRunning
		if m.state == Starting {
			err = errStarting
		}
		m.do(actAnswer{caller: ev.caller, err: err})
	default:
		if ev.caller != 0 {
			m.do(actAnswer{caller: ev.caller, err: errStopping})
		}
	}
}

func (m *machine) beginReload() {
	m.reload.pending = false
	m.reload.began = m.now
	m.moveState(Reloading)
	m.load()
	m.log(hclog.Info, "reload begins", "gen", m.reload.loading)
	m.do(actProgress{caller: m.reload.caller, gen: m.reload.loading, step: StepLoad})
}

func (m *machine) load() {
	m.lastGen++
	m.reload.loading = m.lastGen
	m.do(actLoad{m.lastGen})
}

func (m *machine) onLoaded(ev evLoaded) {
	m.reload.loading = 0
	g := &generation{
		id: ev.gen, build: ev.build, timing: ev.timing, state: Candidate,
		workers: ev.workers, scaler: newScaler(ev.scaling, ev.workers),
	}
	g.begin(m.live)
	m.gens = append(m.gens, g)
	if m.state >= LameDuck { // it came too late
		m.moveGen(g, Rejected)
		return
	}
	m.candidate = g
	m.reach(g, StepCanary)
}

func (m *machine) onLoadFailed(ev evLoadFailed) {
	m.reload.loading = 0
	switch m.state {
	case Starting:
		m.stop(ev.err)
	case Reloading:
		reason, words := explained(ev.err)
		m.conclude(Outcome{Generation: ev.gen, Step: ev.step, Reason: reason, Words: words}, nil)
	}
}

// fail is the verdict that p ends, or ended, by its own fault. It is passed once, as soon
// as it is known: a slot that waited for the exit to count it would respawn without end
// a program that says Failed. What it means depends on what the generation has shown.
func (m *machine) fail(p *process) {
	if p.asked || p.failed {
		return
	}
	p.failed = true
	switch {
	case p.gen == m.live:
		m.punish(p)
	case p.gen != m.candidate: // nobody counts on it
	case m.state == Starting:
		m.stop(&StartError{Slot: p.slot.id, Stage: p.stage, Reason: p.words, Words: p.output})
	default:
		m.reject(p.words, p.output, nil)
	}
}

// reject gives up the candidate. The live generation was never touched.
func (m *machine) reject(reason, words string, err error) {
	g := m.candidate
	m.endTrial(g)
	m.candidate = nil
	m.moveGen(g, Rejected)
	m.conclude(Outcome{Generation: g.id, Build: g.build, Step: g.step, Reason: reason, Words: words}, err)
}

// promote makes the candidate the live generation and the live one a retiring one.
func (m *machine) promote() {
	g := m.candidate
	old := m.live
	m.endTrial(g)
	m.candidate, m.live = nil, g
	m.moveGen(g, Live)
	m.do(actPromote{g.id})
	if old == nil {
		return // the first one: it still has to fill its slots
	}
	m.moveGen(old, Retiring)
	for _, s := range m.slots {
		m.pardon(s)
	}
	m.conclude(Outcome{Generation: g.id, Build: g.build, Step: StepLive}, nil)
}

// abandonReload ends whatever reload runs because the master stops.
func (m *machine) abandonReload() {
	m.reload.pending = false
	switch {
	case m.candidate != nil && m.live == nil: // the first generation: nobody waits
		m.moveGen(m.candidate, Rejected)
		m.candidate = nil
	case m.candidate != nil:
		m.reject(errStopping.Error(), "", errStopping)
	case m.reload.loading != 0 && m.live != nil:
		m.conclude(Outcome{Generation: m.reload.loading, Step: StepLoad, Reason: errStopping.Error()}, errStopping)
	}
}

// conclude ends a reload: tells the log, the stats and whoever waits.
func (m *machine) conclude(o Outcome, err error) {
	o.Began, o.Took = m.reload.began, m.now.Sub(m.reload.began)
	if o.Live() {
		m.log(hclog.Info, "reload done", "gen", o.Generation, "build", o.Build, "took", o.Took)
	} else {
		m.log(hclog.Error, "reload rejected", o.fields()...)
		if err == nil {
			err = &RejectedError{o}
		}
	}
	m.reloads.count(o.Step)
	m.do(actOutcome{o})
	if m.reload.caller != 0 {
		m.do(actAnswer{caller: m.reload.caller, outcome: o, err: err})
		m.reload.caller = 0
	}
	if m.state == Reloading {
		m.moveState(Serving)
	}
}
