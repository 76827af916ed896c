package master

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

// step takes an event to the machine, applies what it wants to the world, and checks.
func (w *world) step(ev event) {
	w.log = append(w.log, fmt.Sprintf("%T%+v -> %s", ev, ev, w.m.describe()))
	if e, ok := ev.(evExited); ok {
		w.drop(e.inc)
	}
	if e, ok := ev.(evSpawnFailed); ok {
		w.drop(e.inc)
	}
	acts := w.m.step(w.now, ev)
	published := false
	for _, a := range acts {
		w.apply(a, &published)
	}
	if again := w.m.step(w.now, evTimer{}); len(again) > 0 {
		w.fault("reconciling twice does more: %v", again)
	}
	w.check()
}

// drop forgets a process that is no more; what it counted waits for its burial.
func (w *world) drop(inc incarnation) {
	for i, s := range w.sims {
		if s.inc == inc {
			w.retired[-int(inc)] = s.count
			w.sims = append(w.sims[:i:i], w.sims[i+1:]...)
			return
		}
	}
}

func (w *world) find(inc incarnation, what string) *sim {
	for _, s := range w.sims {
		if s.inc == inc {
			return s
		}
	}
	w.fault("%s for process %d, which does not exist", what, inc)
	return &sim{}
}

func (w *world) apply(a action, published *bool) {
	switch a := a.(type) {
	case actLoad:
		w.loads = append(w.loads, a.gen)
	case actSpawn:
		if w.m.state >= Stopping {
			w.fault("spawn while %s", w.m.state)
		}
		w.sims = append(w.sims, &sim{inc: a.inc, slot: a.slot})
		w.checkSurge(a.gen)
	case actSetup:
		if s := w.find(a.inc, "setup"); s.said == 0 && !s.launched {
			w.fault("setup before launch")
		}
	case actDrain:
		w.find(a.inc, "drain").draining = true
		w.checkDrain(w.m.procs[a.inc])
	case actKill:
		w.kill(a.inc)
	case actQuit:
		w.kill(a.inc) // some die of it
	case actWeigh:
		if w.weigh == a.gen {
			w.fault("weighed twice at once")
		}
		w.weigh = a.gen
	case actArm:
		w.armed = append(w.armed, a)
		w.due[a.ticket] = w.now.Add(a.after)
		if a.after <= 0 || a.after > 2*time.Minute {
			w.fault("armed for %s", a.after)
		}
	case actDisarm:
		w.unarm(a.ticket)
	case actBury:
		if *published {
			w.fault("process %d is buried after the view was published", a.inc)
		}
		w.retired[a.slot] += w.retired[-int(a.inc)]
		delete(w.retired, -int(a.inc))
	case actState:
		*published = true
	case actAnswer:
		*published = true
		if answered, known := w.callers[a.caller]; !known || answered {
			w.fault("caller %d answered twice", a.caller)
		}
		w.callers[a.caller] = true
	case actDeafen:
		for _, s := range w.sims {
			if !s.launched {
				w.fault("sockets are closed while process %d is being given them", s.inc)
			}
		}
	case actFinish:
		w.done = true
	case actLog:
		if a.level == hclog.Error && (a.msg == "illegal move" || a.msg == "unknown event") {
			w.fault("%s %v", a.msg, a.kv)
		}
	}
}

func (w *world) kill(inc incarnation) {
	s := w.find(inc, "kill")
	if s.killed = true; !s.launched {
		w.fault("kill before launch")
	}
}

// checkDrain: while it serves, the master ends a worker only if another one serves in its
// place.
func (w *world) checkDrain(p *process) {
	if w.m.state >= Stopping || p == nil || p.slot.id > p.gen.workers || p.slot.id > w.m.live.workers {
		return
	}
	serves := p.slot.ready(w.m.live)
	if c := w.m.candidate; c != nil && p.gen != c {
		serves = serves || p.slot.ready(c)
	}
	if !serves && (p.gen == w.m.live || p.gen.state == Rejected && !p.lost) {
		w.fault("generation %d, %s, drains slot %d, in which nobody else serves", p.gen.id, p.gen.state, p.slot.id)
	}
	if p.gen != w.m.live && !w.m.proven(w.m.live) && p.gen.state != Rejected {
		w.fault("generation %d is drained while none serves", p.gen.id)
	}
}

func (w *world) check() {
	m := w.m
	if m.live == nil && m.state != Starting && m.state < Stopping {
		w.fault("no live generation while %s", m.state)
	}
	candidates := 0
	for _, g := range m.gens {
		if g.state == Candidate {
			candidates++
		}
		if (g.state == Live) != (g == m.live) || (g.state == Candidate) != (g == m.candidate) {
			w.fault("generation %d is %s", g.id, g.state)
		}
	}
	if candidates > 1 {
		w.fault("%d candidates", candidates)
	}
	w.checkTimers()
	w.checkSlots()
	w.checkScale()
}

// checkScale: the load moves the number of workers between two others.
func (w *world) checkScale() {
	for _, g := range w.m.gens {
		if s := g.scaler; s.on() && (g.workers < s.Rule.Least || g.workers > s.Most) {
			w.fault("generation %d has %d workers of %d to %d", g.id, g.workers, s.Rule.Least, s.Most)
		}
	}
}

// checkSurge: a reload that has little room takes no more.
func (w *world) checkSurge(gen int) {
	c := w.m.candidate
	if c == nil || c.id != gen || c.timing.surge == 0 || w.m.live == nil {
		return
	}
	if most := max(c.workers, w.m.live.workers) + c.timing.surge; len(w.sims) > most {
		w.fault("%d processes, the surge allows %d", len(w.sims), most)
	}
}

func (w *world) checkTimers() {
	procs := make(map[incarnation]int)
	slots := make(map[int]int)
	looks := 0
	ducks := 0
	for _, a := range w.armed {
		if a.why == timerLameDuck {
			ducks++
			continue
		}
		if a.gen != 0 {
			if looks++; w.m.candidate == nil || w.m.candidate.trial.ticket != a.ticket {
				w.fault("a look at generation %d is armed, which is no candidate", a.gen)
			}
		} else if a.slot != 0 {
			slots[a.slot]++
		} else if procs[a.inc]++; w.m.procs[a.inc] == nil {
			w.fault("a timer is armed for process %d, which is gone", a.inc)
		}
	}
	for inc, p := range w.m.procs {
		want := 1
		if p.phase == Ready && !p.lost {
			want = 0
		}
		if procs[inc] != want {
			w.fault("process %d is %s and has %d timers", inc, p.phase, procs[inc])
		}
	}
	for _, s := range w.m.slots {
		if armed := slots[s.id]; armed > 1 || (armed == 1) != (s.ticket != 0) {
			w.fault("slot %d has %d timers and ticket %d", s.id, armed, s.ticket)
		}
		if w.m.state >= Stopping && s.ticket != 0 {
			w.fault("slot %d waits to respawn while %s", s.id, w.m.state)
		}
	}
	if (ducks == 1) != (w.m.state == LameDuck) || ducks > 1 {
		w.fault("%d ends of the lame duck are armed while %s", ducks, w.m.state)
	}
}

func (w *world) checkSlots() {
	live := make(map[int]int)
	for _, s := range w.sims {
		live[s.slot] += s.count
	}
	for _, s := range w.m.slots {
		if got, want := w.retired[s.id]+live[s.id], w.counted[s.id]; got != want {
			w.fault("slot %d shows %d requests of %d", s.id, got, want)
		}
		staying := make(map[*generation]int)
		for _, p := range s.procs {
			if p.phase <= Ready && p.retiring == "" {
				if staying[p.gen]++; staying[p.gen] > 1 {
					w.fault("two processes of generation %d stay in slot %d", p.gen.id, s.id)
				}
			}
			if p.slot != s || w.m.procs[p.inc] != p {
				w.fault("process %d is not where it should be", p.inc)
			}
		}
	}
}
