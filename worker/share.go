package worker

import (
	"math"
	"runtime"
	"runtime/debug"

	"github.com/seed17661985/ostler/worker/control"
)

// use takes a new share of the machine. To set GOMAXPROCS stops the world for a moment.
func use(s control.Share) {
	if s.Procs > 0 && s.Procs != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(s.Procs)
	}
	if s.Memory > 0 {
		debug.SetMemoryLimit(int64(min(s.Memory, math.MaxInt64)))
	}
}
