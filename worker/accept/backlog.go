package accept

import "runtime"

const (
	// probeEvery is after how many waits a connection is looked for without one. Under
	// load the look finds one and saves the wait; otherwise it is a system call in vain.
	probeEvery = 8
	// yieldEvery is after how many connections that needed no wait others may run: the
	// goroutine that accepts and serves never stops by itself under load.
	yieldEvery = 16
	// blockMost is how many waits in a row block their thread. Another goroutine may depend
	// on the runtime's poller, which such a wait keeps from running for up to 20ms.
	blockMost = 64
)

// backlog guesses whether connections wait in the kernel's queue, from how it went.
type backlog struct {
	hot     bool // the last look without a wait found one
	waits   int  // since the last look
	found   int  // in a row without a wait
	blocked int  // waits in a row
}

// likely says whether to look before waiting.
func (b *backlog) likely() bool { return b.hot || b.waits >= probeEvery }

// hit notes that a connection was accepted, after a wait or without one.
func (b *backlog) hit(waited bool) {
	if waited {
		b.waits++
		return
	}
	b.hot, b.waits = true, 0
	if b.found++; b.found%yieldEvery == 0 {
		runtime.Gosched()
	}
}

// missed notes that nobody was there.
func (b *backlog) missed() { b.hot, b.waits, b.found = false, 0, 0 }

// mayBlock says whether the coming wait may block its thread.
func (b *backlog) mayBlock() bool {
	b.blocked = (b.blocked + 1) % blockMost
	return b.blocked != 0
}
