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

// burst limits how many connections that are kept alive a gate takes in before it leaves the
// next ones to its siblings for a moment, though all have shown their requests: a process
// that is quick about them would get the next ones for that. Whoever finds a connection at
// the end of the moment has no sibling who is free, and may take twice as many until the next.
type burst struct {
	allowed int // before the next moment; zero: crowd
	taken   int // since the last one
	stood   bool
}

const burstMost = 1024

// due reports whether it is time to stand back, given how many connections the process has.
func (b *burst) due(conns int) bool {
	return b.taken >= max(crowd, b.allowed) && conns >= crowd
}

// rested notes that the gate has stood back.
func (b *burst) rested() { b.taken, b.stood = 0, true }

// took notes a connection that was there after so long a wait.
func (b *burst) took(waited time.Duration) {
	switch {
	case b.stood && waited < courtesy/10:
		b.allowed = min(2*max(crowd, b.allowed), burstMost)
	case b.stood:
		b.allowed = crowd
	}
	b.stood = false
	if waited > 10*courtesy {
		b.taken = 0 // everybody who sleeps was woken by this one
	}
	b.taken++
}

// standBack leaves a crowd to whoever else there is, and reports whether it did so for as
// long as it may. It is no promise: what is accepted in the end waits for its slot like
// everything.
func (p *Pool) standBack() bool {
	if !p.admission.crowded() {
		return false
	}
	runtime.Gosched() // their requests may be here, and only wait for this goroutine
	if !p.admission.crowded() {
		return false
	}
	limit := time.NewTimer(courtesy)
	defer limit.Stop()
	p.newcomers.awaited.Store(true)
	defer p.newcomers.awaited.Store(false)
	for p.admission.crowded() {
		select {
		case <-p.newcomers.shown:
		case <-limit.C:
			return true
		}
	}
	return false
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
