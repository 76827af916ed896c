package accept

import (
	"sync/atomic"
	"time"
)

const (
	// firstByte is how long a thread blocks for the first byte of a connection.
	firstByte = 200 * time.Microsecond
	// distrust is for how many connections nobody blocks after a peer kept one waiting.
	distrust = 64
)

// promptness is what to expect of a listener's peers.
//
// A front end connects and sends its request in one go, but the process that accepts is
// woken by the first half of that. Putting the connection into the runtime's poller for
// the few microseconds until the second half would cost more than the request. Peers that
// connect and stay silent must not stop the process again and again: they are believed to
// do so next time, too.
type promptness struct {
	doubts atomic.Int32 // connections until the next one is trusted
}

// awaitFirst reports whether something can be read.
func (p *promptness) awaitFirst(fd int) bool {
	if doubts := p.doubts.Load(); doubts > 0 {
		p.doubts.Store(doubts - 1) // two at a time may count as one
		return false
	}
	ready, err := rawPoll(fd, firstByte)
	if !ready && err == nil {
		p.doubts.Store(distrust)
	}
	return ready
}
