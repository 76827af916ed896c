package pool

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// crowd is how many connections that are kept alive a gate takes in before it has seen
	// a request of them.
	crowd = 4

	// courtesy is how long it then stands back: long enough for a sibling to wake up, too
	// short for anybody to notice who has no sibling.
	courtesy = time.Millisecond
)

// newcomers is where a gate waits for the first requests of those it has taken in.
//
// A process that is awake accepts faster than its siblings wake up. Of clients that connect
// at the same moment it would get all, and keep them: connections that are kept alive stay
// for good where they once are, and one process would work while the others sleep.
type newcomers struct {
	awaited atomic.Bool   // by a gate
	shown   chan struct{} // capacity 1
}

// show says that a request has come.
func (n *newcomers) show() {
	if n.awaited.Load() {
		select {
		case n.shown <- struct{}{}:
		default:
		}
	}
}

// standBack leaves a crowd to whoever else there is. It is no promise: what is accepted
// in the end waits for its slot like everything.
func (p *Pool) standBack() {
	if !p.admission.crowded() {
		return
	}
	runtime.Gosched() // their requests may be here, and only wait for this goroutine
	if !p.admission.crowded() {
		return
	}
	limit := time.NewTimer(courtesy)
	defer limit.Stop()
	p.newcomers.awaited.Store(true)
	defer p.newcomers.awaited.Store(false)
	for p.admission.crowded() {
		select {
		case <-p.newcomers.shown:
		case <-limit.C:
			return
		}
	}
}

// crowded reports whether so many connections are within their grace and have shown no
// request.
func (a *admission) crowded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.soft.n < crowd {
		return false
	}
	e := a.soft.last
	for range crowd - 1 {
		e = e.prev
	}
	return time.Now().Before(e.owner.graceEnds)
}
