package pool

import (
	"sync/atomic"
	"syscall"
	"time"
)

// watchEvery is how long a handler may compute before the runtime looks whether others wait.
// It is what the runtime does by itself.
const watchEvery = 10 * time.Millisecond

// watchdog keeps the runtime's monitor from oversleeping while handlers run.
//
// The monitor takes the processor from a goroutine that computes for too long. It lies down
// when every processor is idle, and a system call wakes it, or the next timer. Connections
// whose reads and writes do without telling the scheduler (package accept) may bring a
// request to a handler without either: a handler that computes for a second would then
// stop all others of its worker for a second. So there is always a timer while requests come,
// and the first one after a pause makes a system call.
type watchdog struct {
	timer *time.Timer  // does nothing: that there is one is enough
	due   atomic.Int64 // when it ends, by Pool.elapsed
}

func newWatchdog() *watchdog { return &watchdog{timer: time.AfterFunc(watchEvery, func() {})} }

// look is for the beginning of each request. It costs a load while the timer is young.
func (w *watchdog) look(now time.Duration) {
	due := time.Duration(w.due.Load())
	if due-now > watchEvery/2 || !w.due.CompareAndSwap(int64(due), int64(now+watchEvery)) {
		return
	}
	w.timer.Reset(watchEvery)
	if now >= due {
		_ = syscall.Close(-1) // any call that the scheduler is told of
	}
}
