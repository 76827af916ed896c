package master

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// action is something the machine wants done. The loop performs actions in order and
// posts what comes of them back as events; none of them may block the loop.
type action interface{ action() }

type (
	// actLoad asks for the plan of a new generation: evLoaded or evLoadFailed.
	actLoad struct{ gen int }

	// actCancelLoad: nobody wants the plan any more; the load still has to report.
	actCancelLoad struct{}

	// actSpawn launches a process: evSpawned or evSpawnFailed.
	actSpawn struct {
		inc  incarnation
		slot int
		gen  int
	}

	// actSetup, actDrain and actReopen are frames for one worker.
	actSetup  struct{ inc incarnation }
	actReopen struct{ inc incarnation }
	actDrain  struct {
		inc             incarnation
		timeout, linger time.Duration
	}

	// actShare: another number of workers share the machine in gen.
	actShare struct{ gen int }

	// actKill sends SIGKILL, actQuit SIGQUIT: Go prints every goroutine's stack and exits.
	actKill struct{ inc incarnation }
	actQuit struct{ inc incarnation }

	// actWeigh asks what the live generation and the candidate gen have answered: evWeighed.
	actWeigh struct{ gen int }

	// actArm starts a timer: evTimer. Exactly one of inc, slot and gen is set.
	actArm struct {
		ticket ticket
		inc    incarnation
		slot   int
		gen    int
		why    timerKind
		after  time.Duration
	}
	actDisarm struct{ ticket ticket }

	// actReport tells how a process died that was not asked to go. It comes before actBury.
	actReport struct {
		inc   incarnation
		crash crash
	}

	// actBury folds the numbers of a finished process into its slot.
	actBury struct {
		inc  incarnation
		slot int
	}

	// actPromote: gen is the one that serves now.
	actPromote struct{ gen int }

	// actRelease: nothing will ever be launched from gen again and none of its
	// processes is left; its executable and sockets can go.
	actRelease struct {
		gen      int
		rejected bool
	}

	// actDeafen gives all sockets up before their generations are over: nobody is going
	// to accept, so nobody should be able to connect.
	actDeafen struct{}

	// actAnswer ends the reload a caller waits for.
	actAnswer struct {
		caller  uint64
		outcome Outcome
		err     error
	}

	// actProgress: the reload to gen has come to step.
	actProgress struct {
		caller uint64
		gen    int
		step   Step
	}

	// actOutcome publishes how a reload ended.
	actOutcome struct{ outcome Outcome }

	actState   struct{ state State }
	actStarted struct{}

	// actFinish ends the loop; err is what Run returns.
	actFinish struct{ err error }

	actLog struct {
		level hclog.Level
		msg   string
		kv    []any
	}
)

func (actLoad) action()       {}
func (actCancelLoad) action() {}
func (actSpawn) action()      {}
func (actSetup) action()      {}
func (actReopen) action()     {}
func (actDrain) action()      {}
func (actShare) action()      {}
func (actKill) action()       {}
func (actQuit) action()       {}
func (actWeigh) action()      {}
func (actProgress) action()   {}
func (actArm) action()        {}
func (actDisarm) action()     {}
func (actReport) action()     {}
func (actBury) action()       {}
func (actPromote) action()    {}
func (actRelease) action()    {}
func (actDeafen) action()     {}
func (actAnswer) action()     {}
func (actOutcome) action()    {}
func (actState) action()      {}
func (actStarted) action()    {}
func (actFinish) action()     {}
func (actLog) action()        {}
