package master

import (
	"fmt"
	"strings"
)

func timerName(a actArm) string {
	if a.gen != 0 {
		return fmt.Sprintf("gen=%d %s", a.gen, a.why)
	}
	if a.slot != 0 {
		return fmt.Sprintf("slot=%d %s", a.slot, a.why)
	}
	return fmt.Sprintf("p%d %s", a.inc, a.why)
}

// show prints an action as the transcripts have it.
func (s *script) show(a action) string {
	switch a := a.(type) {
	case actLoad:
		return fmt.Sprintf("load gen=%d", a.gen)
	case actCancelLoad:
		return "cancel the load"
	case actSpawn:
		return fmt.Sprintf("spawn p%d slot=%d gen=%d", a.inc, a.slot, a.gen)
	case actSetup:
		return fmt.Sprintf("setup p%d", a.inc)
	case actShare:
		return fmt.Sprintf("share gen=%d", a.gen)
	case actReopen:
		return fmt.Sprintf("reopen p%d", a.inc)
	case actDrain:
		return fmt.Sprintf("drain p%d timeout=%s linger=%s", a.inc, a.timeout, a.linger)
	case actKill:
		return fmt.Sprintf("kill p%d", a.inc)
	case actQuit:
		return fmt.Sprintf("quit p%d", a.inc)
	case actWeigh:
		return fmt.Sprintf("weigh gen=%d", a.gen)
	case actProgress:
		return fmt.Sprintf("progress caller=%d gen=%d step=%s", a.caller, a.gen, a.step)
	case actArm:
		return fmt.Sprintf("arm %s %s", timerName(a), a.after)
	case actDisarm:
		for _, arm := range s.armed {
			if arm.ticket == a.ticket {
				return "disarm " + timerName(arm)
			}
		}
		return "disarm what is not armed"
	case actReport:
		return fmt.Sprintf("report p%d how=%q words=%q", a.inc, a.crash.how, a.crash.words)
	case actBury:
		return fmt.Sprintf("bury p%d slot=%d as=%s", a.inc, a.slot, s.m.slots[a.slot-1].lastWhy) // a step buries one
	case actPromote:
		return fmt.Sprintf("promote gen=%d", a.gen)
	case actRelease:
		return fmt.Sprintf("release gen=%d rejected=%v", a.gen, a.rejected)
	case actAnswer:
		return fmt.Sprintf("answer caller=%d step=%s err=%q", a.caller, a.outcome.Step, fmt.Sprint(a.err))
	case actOutcome:
		if a.outcome.Words != "" {
			return fmt.Sprintf("outcome gen=%d step=%s took=%s reason=%q words=%q", a.outcome.Generation, a.outcome.Step, a.outcome.Took, a.outcome.Reason, a.outcome.Words)
		}
		return fmt.Sprintf("outcome gen=%d step=%s took=%s reason=%q", a.outcome.Generation, a.outcome.Step, a.outcome.Took, a.outcome.Reason)
	case actState:
		return "state " + a.state.String()
	case actDeafen:
		return "deafen"
	case actStarted:
		return "started"
	case actFinish:
		return fmt.Sprintf("finish err=%q", fmt.Sprint(a.err))
	case actLog:
		return showLog(a)
	}
	return fmt.Sprintf("%T", a)
}

func showLog(a actLog) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log %s %q", a.level, a.msg)
	for i := 0; i+1 < len(a.kv); i += 2 {
		v := fmt.Sprint(a.kv[i+1])
		if strings.ContainsAny(v, " \"") {
			v = fmt.Sprintf("%q", v)
		}
		fmt.Fprintf(&b, " %s=%s", a.kv[i], v)
	}
	return b.String()
}

// describe is the whole machine in a line.
func (m *machine) describe() string {
	var b strings.Builder
	b.WriteString(m.state.String())
	for _, g := range m.gens {
		fmt.Fprintf(&b, "; gen %d %s x%d", g.id, g.state, g.workers)
		if g.scaler.on() {
			fmt.Fprintf(&b, " of %d-%d", g.scaler.Rule.Least, g.scaler.Most)
		}
	}
	for _, s := range m.slots {
		fmt.Fprintf(&b, "; slot %d", s.id)
		for _, p := range s.procs {
			fmt.Fprintf(&b, " p%d(gen %d %s)", p.inc, p.gen.id, p.phase)
		}
		if s.failures > 0 {
			fmt.Fprintf(&b, " failures=%d", s.failures)
		}
	}
	if m.reload.pending {
		b.WriteString("; reload pending")
	}
	return b.String()
}
