package master

import "fmt"

// State is what the master as a whole is doing.
type State uint8

const (
	// Starting: no worker has proven yet that the program can run. Next: Serving, Stopping.
	Starting State = iota + 1
	// Serving: one live generation, kept at its number of workers. Next: Reloading, LameDuck, Stopping.
	Serving
	// Reloading: a candidate is being loaded or booted beside the live generation. Next: Serving, LameDuck, Stopping.
	Reloading
	// LameDuck: as Serving, but whoever asks is told to go elsewhere. Next: Stopping.
	LameDuck
	// Stopping: nothing is started any more. Next: Stopped.
	Stopping
	// Stopped: no process is left. Final.
	Stopped
)

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Serving:
		return "serving"
	case Reloading:
		return "reloading"
	case LameDuck:
		return "lame-duck"
	case Stopping:
		return "stopping"
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// may reports whether the master may go from s to next.
func (s State) may(next State) bool {
	switch next {
	case Serving:
		return s == Starting || s == Reloading
	case Reloading:
		return s == Serving
	case LameDuck:
		return s == Serving || s == Reloading
	case Stopping:
		return s >= Starting && s < Stopping
	case Stopped:
		return s == Stopping
	}
	return false
}

// Phase is the life of one worker process as the master sees it.
type Phase uint8

const (
	// Spawning: launched, or about to be; it has not said hello.
	Spawning Phase = iota + 1
	// Booting: it has its setup and builds the application.
	Booting
	// Ready: it serves.
	Ready
	// Draining: it was told to finish, or has said that it cannot start.
	Draining
	// Killed: SIGKILL is on its way, or SIGQUIT first for the stacks it leaves.
	Killed
	// Exited: reaped. Final.
	Exited
)

func (p Phase) String() string {
	switch p {
	case Spawning:
		return "spawning"
	case Booting:
		return "booting"
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	case Killed:
		return "killed"
	case Exited:
		return "exited"
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// may reports whether a process may go from p to next. A process can die, or have to
// be killed, at any moment; the rest is one way.
func (p Phase) may(next Phase) bool {
	switch next {
	case Booting:
		return p == Spawning
	case Ready:
		return p == Booting
	case Draining:
		return p == Booting || p == Ready
	case Killed:
		return p >= Spawning && p < Killed
	case Exited:
		return p >= Spawning && p < Exited
	}
	return false
}

// GenState is the life of one generation: a plan, its sockets and its executable.
type GenState uint8

const (
	// Candidate: admitted, not yet trusted.
	Candidate GenState = iota + 1
	// Live: respawns come from it.
	Live
	// Retiring: replaced, its last requests are being finished.
	Retiring
	// Gone: no process of it is left. Final.
	Gone
	// Rejected: it could not start. Final, though its processes may still have to go.
	Rejected
)

func (g GenState) String() string {
	switch g {
	case Candidate:
		return "candidate"
	case Live:
		return "live"
	case Retiring:
		return "retiring"
	case Gone:
		return "gone"
	case Rejected:
		return "rejected"
	}
	return fmt.Sprintf("GenState(%d)", uint8(g))
}

// may reports whether a generation may go from g to next.
func (g GenState) may(next GenState) bool {
	switch next {
	case Live, Rejected:
		return g == Candidate
	case Retiring:
		return g == Live
	case Gone:
		return g == Retiring
	}
	return false
}

// Step is how far a generation came on its way to being live.
type Step uint8

const (
	// StepLoad: the program is asked for its plan.
	StepLoad Step = iota + 1
	// StepBind: the sockets that are new are bound.
	StepBind
	// StepCanary: one worker has to become ready.
	StepCanary
	// StepRoll: all workers have to become ready.
	StepRoll
	// StepProbation: all are ready, and have to do no worse than the old ones for a while.
	StepProbation
	// StepLive: it serves.
	StepLive
)

func (s Step) String() string {
	switch s {
	case StepLoad:
		return "load"
	case StepBind:
		return "bind"
	case StepCanary:
		return "canary"
	case StepRoll:
		return "roll"
	case StepProbation:
		return "probation"
	case StepLive:
		return "live"
	}
	return fmt.Sprintf("Step(%d)", uint8(s))
}
