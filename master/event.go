package master

import (
	"time"

	"github.com/seed17661985/ostler/stats"
)

// incarnation numbers processes over the master's whole life. Whatever is said about a
// process carries it, so that nothing said about a dead one can touch its successor.
type incarnation uint64

// ticket names one armed timer. A timer that was replaced while it fired carries a
// ticket nobody knows any more.
type ticket uint64

// event is anything that happens to the master. The machine sees nothing else.
type event interface{ event() }

type (
	// evStart begins the life of the machine.
	evStart struct{}

	// evResumed begins the life of a machine that another one left.
	evResumed struct{}

	// evLoaded: a generation was loaded and its sockets are bound.
	evLoaded struct {
		gen     int
		build   string
		workers int
		scaling Scaling
		timing  timing
	}

	// evLoadFailed: step is StepLoad or StepBind.
	evLoadFailed struct {
		gen  int
		step Step
		err  error
	}

	// evSpawned and evSpawnFailed answer actSpawn.
	evSpawned struct {
		inc incarnation
		pid int
	}
	evSpawnFailed struct {
		inc incarnation
		err error
	}

	// What a worker says on its control connection.
	evHello struct {
		inc     incarnation
		version int
		build   string
	}
	evReady  struct{ inc incarnation }
	evFailed struct {
		inc        incarnation
		stage, err string
	}
	// evRetire: ours says that it was found out here, by a look at the process.
	evRetire struct {
		inc    incarnation
		reason string
		ours   bool
	}

	// evClosed: the control connection ended; err is nil for a plain end.
	evClosed struct {
		inc incarnation
		err error
	}

	// evExited: the process was reaped. Everything it had said was posted before.
	evExited struct {
		inc   incarnation
		exit  Exit
		words Words
	}

	// evSick: a process that serves was found to be in a state it will not leave by itself.
	evSick struct {
		inc  incarnation
		why  stats.Exit // ExitUnresponsive or ExitMemory
		text string
	}

	// evTimer: a timer ran out; for a process it carries its incarnation, for a slot's
	// backoff the slot, for a look at the candidate its generation.
	evTimer struct {
		ticket ticket
		inc    incarnation
		slot   int
		gen    int
	}

	// evWeighed answers actWeigh: what either generation has answered in its whole life.
	evWeighed struct {
		gen             int
		live, candidate tally
	}

	// evMeasured: what a look has seen of the workers of the generation that was live.
	evMeasured struct {
		gen int
		reading
	}

	// evReload asks for a reload. With a caller it is refused while another runs; without
	// (SIGHUP, a touched file) it is remembered.
	evReload struct{ caller uint64 }

	evStop   struct{ now bool }
	evAdd    struct{}
	evRemove struct{}
	evReopen struct{}
)

// timing is the part of a plan that the machine decides with.
type timing struct {
	start  time.Duration // to become ready
	mercy  time.Duration // to drain
	linger time.Duration // idle connections are kept this long in a drain

	probation time.Duration // new workers have to do well before the old ones go; zero: none
	lameDuck  time.Duration // between a stop and its beginning, see LameDuck
	surge     int           // processes beyond the number of workers in a reload; zero: no limit
}

func (evStart) event()       {}
func (evResumed) event()     {}
func (evLoaded) event()      {}
func (evLoadFailed) event()  {}
func (evSpawned) event()     {}
func (evSpawnFailed) event() {}
func (evHello) event()       {}
func (evReady) event()       {}
func (evFailed) event()      {}
func (evRetire) event()      {}
func (evClosed) event()      {}
func (evExited) event()      {}
func (evSick) event()        {}
func (evTimer) event()       {}
func (evWeighed) event()     {}
func (evMeasured) event()    {}
func (evReload) event()      {}
func (evStop) event()        {}
func (evAdd) event()         {}
func (evRemove) event()      {}
func (evReopen) event()      {}
