package accept

import (
	"syscall"
	"time"
)

const (
	// turnLength is how many connections a turn has at least.
	turnLength = 64
	// turnLeast is how long it is at least: to pass it on costs a wake-up or two.
	turnLeast = 20 * time.Millisecond
	// window is how many connections are looked at together.
	window = 16
	// streamed is the time in which so many come if they come in a stream.
	streamed = time.Second / 4
	// brief is what the process computes for one of them, on average, if requests are short: one
	// that computes for milliseconds makes a window long.
	brief = 250 * time.Microsecond
	// calmEnough is how many windows in a row have to be a stream of short requests.
	calmEnough = 32
	// standing is how long a process stands back at first; three times in a row twice as long as
	// before.
	standing = shortWait * time.Millisecond
	// standMost is how often in a row it stands back in vain.
	standMost = 8
)

// turns lets the processes that share a listener serve a stream of short requests one at a
// time.
//
// A connection that comes while one process is busy wakes another. When requests take
// microseconds the first would have been back before the other is awake; both then go to
// sleep and are woken for every few requests, which costs up to a third of the CPU. So one has the
// turn: it waits for connections. The others stand back for a moment at a time, and then
// look whether it keeps up. In the end the turn is anybody's.
//
// Nothing depends on who has it. A process that is stuck with its turn is found out at the
// others' next look, and one that has died does not have it any more.
type turns struct {
	turn turn

	seen  int // connections of this window
	since time.Time
	used  time.Duration // what the process had computed when it began
	calm  int           // windows in a row that were a stream of short requests

	mine   bool
	taken  time.Time // when the last turn of this process began
	served int       // connections since then, or since it was given

	stood  bool // and nobody was found yet
	vain   int  // how often in a row that was so
	pauses int
	doze   func(time.Duration) // does not tell the scheduler
	cpu    func() time.Duration
}

// turn can be had by one process at a time.
type turn interface {
	take() bool // reports whether this process has it now, or nobody can
	give()
}

// standBack is called before a wait. It reports true after a moment, in which the listener was
// left to another process: then somebody may have come who is waiting still.
func (t *turns) standBack() bool {
	if t.stood {
		t.stood = false
		if t.vain++; t.vain == standMost {
			t.calm, t.vain = calmEnough-1, 0
		}
	}
	// Who has just given the turn does not take it back at once.
	if t.mine || t.calm < calmEnough || t.served < turnLength/8 {
		return false
	}
	if t.mine = t.turn.take(); t.mine {
		t.served, t.taken = 0, time.Now()
		return false
	}
	t.pause(standing << min(t.vain, 2))
	t.stood = true
	return true
}

// pause tells the scheduler of what takes longer than a short wait does, and of every
// fourth pause: others in this process may have something to do.
func (t *turns) pause(d time.Duration) {
	if t.pauses++; d > standing || t.pauses%4 == 0 {
		time.Sleep(d)
		return
	}
	t.doze(d)
}

// accepted counts a connection.
func (t *turns) accepted() {
	t.stood, t.vain = false, 0
	t.served++
	if t.seen++; t.seen == window {
		t.look(time.Now(), t.cpu())
	}
}

// look ends a window, and the turn if it is time.
func (t *turns) look(now time.Time, used time.Duration) {
	if t.calm++; now.Sub(t.since) > streamed || used-t.used > window*brief {
		t.calm = 0
	}
	t.seen, t.since, t.used = 0, now, used
	if t.calm < calmEnough || t.served >= turnLength && now.Sub(t.taken) >= turnLeast {
		t.rest()
	}
}

// rest ends the turn of this process.
func (t *turns) rest() {
	if t.mine {
		t.mine, t.served = false, 0
		t.turn.give()
	}
}

// inodeLock is a record lock on the listener's socket. All processes that share the socket have
// the same one, also those of another generation, and the kernel takes it from who dies. It
// is lost when any descriptor of the socket is closed in this process; then two have the turn
// until the next one.
type inodeLock struct{ fd int }

func (l inodeLock) take() bool {
	err := rawLock(l.fd, syscall.F_WRLCK)
	return err != syscall.EAGAIN && err != syscall.EACCES
}

func (l inodeLock) give() { _ = rawLock(l.fd, syscall.F_UNLCK) }
