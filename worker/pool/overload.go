package pool

import (
	"errors"
	"net/http"
	"syscall"
	"time"
)

// errQueueFull reports that more requests wait for a slot than may.
var errQueueFull = errors.New("the queue for request slots is full")

// errPeerGone reports a request that waited longer than its client did.
var errPeerGone = errors.New("the client went away before its request had a slot")

const (
	// aside is how long a gate that takes in what it has no slot for leaves a connection to
	// the siblings first. One of them that has a slot needs a moment to wake up.
	aside = 10 * time.Millisecond

	// unseenMost is how many connections at least may be inside that have shown no request:
	// they are no part of the queue yet.
	unseenMost = 64

	// impatience is which part of QueueTimeout the oldest request has waited when the newest
	// ones go first.
	impatience = 10
)

// overload is what becomes of those for whom there is no slot.
type overload struct {
	maxQueue    int           // 0: they wait in the kernel
	newestFirst time.Duration // once the oldest has waited for so long; 0: never
}

func newOverload(o Options) overload {
	rules := overload{maxQueue: o.MaxQueue}
	if o.NewestFirst && o.MaxQueue > 0 {
		rules.newestFirst = max(1, o.QueueTimeout/impatience)
	}
	return rules
}

// takesIn reports whether connections are accepted for which there is no slot.
func (o overload) takesIn() bool { return o.maxQueue > 0 }

// next gives who is to have the slot that came free; nil if nobody waits. mu is held.
func (a *admission) next() *waiter {
	first := a.queue.first
	switch {
	case first == nil:
		return nil
	case a.reversed():
		return a.queue.last.owner
	}
	return first.owner
}

// reversed reports whether the newest go first. Who has waited for long has a client that
// may have given up, and whoever is served in order then comes as late. mu is held.
func (a *admission) reversed() bool {
	after, first := a.rules.newestFirst, a.queue.first
	return after > 0 && first != nil && time.Since(first.owner.since) >= after
}

// makeRoom reports whether one more request may wait. mu is held.
func (a *admission) makeRoom() bool {
	if !a.rules.takesIn() || a.waiting < a.rules.maxQueue {
		return true
	}
	if !a.reversed() {
		return false
	}
	for w := range a.queue.all {
		if w.kind == waitRequest {
			a.dequeue(w)
			w.ready <- evicted
			return true
		}
	}
	return false
}

// takeIn notes a connection that was accepted though no slot was free. mu is held.
func (a *admission) takeIn(c *conn) {
	if !c.kept { // of those that are kept alive any number may be silent
		c.unseen = true
		a.unseen++
	}
}

// saw notes that such a connection has shown its request, or is closed. mu is held.
func (a *admission) saw(c *conn) {
	if c.unseen {
		c.unseen = false
		a.unseen--
	}
}

// takeSpare gives a reserved slot.
func (a *admission) takeSpare() (slot int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.spare) - 1
	if last < 0 || a.ended {
		return noSlot, false
	}
	slot = a.spare[last]
	a.spare = a.spare[:last]
	return slot, true
}

// standAside returns when there may be room, or when this gate is to look what waits in the
// kernel. mu is held.
func (g *gate) standAside() {
	a := &g.pool.admission
	if g.found && a.mayTakeIn() {
		return // the connections behind the last one have been left to the siblings as well
	}
	for turn := false; !turn && !a.closed && !g.gone; {
		a.enqueue(g.turn, false)
		a.mu.Unlock()
		turn = g.awaitTurn()
		a.mu.Lock()
		turn = turn || a.mayTakeIn() || a.hasRoom()
	}
}

// mayTakeIn reports whether a connection may be accepted though there is no slot for it. mu
// is held.
func (a *admission) mayTakeIn() bool {
	return a.rules.takesIn() && a.unseen < max(a.rules.maxQueue, unseenMost)
}

// awaitTurn waits for the gate's turn, and reports false if it has stood aside for long
// enough before that came.
func (g *gate) awaitTurn() bool {
	a := &g.pool.admission
	if !a.rules.takesIn() {
		<-g.turn.ready
		return true
	}
	limit := time.NewTimer(aside)
	defer limit.Stop()
	select {
	case <-g.turn.ready:
		return true
	case <-limit.C:
	}
	a.mu.Lock()
	waits := a.dequeue(g.turn)
	a.mu.Unlock()
	if !waits {
		<-g.turn.ready // its turn came in the same moment
	}
	return !waits
}

// await is for a request that found no slot free, or whose connection has waited for one.
func (p *Pool) await(r *http.Request, c *conn, slot int, has bool) (int, error) {
	if !has {
		var err error
		if slot, err = p.spareOrQueue(r, c); err != nil {
			return noSlot, err
		}
	}
	if c != nil && c.peerGone() {
		p.admission.release(slot)
		return noSlot, errPeerGone
	}
	return slot, nil
}

func (p *Pool) spareOrQueue(r *http.Request, c *conn) (int, error) {
	if p.opts.Privileged != nil && p.opts.Privileged(r) {
		if slot, ok := p.admission.takeSpare(); ok {
			return slot, nil
		}
	}
	return p.queue(r, c)
}

// peerGone looks whether nothing can come from the peer any more. One with a body that was
// not read yet is believed to be there.
func (c *conn) peerGone() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	if err := raw.Control(func(fd uintptr) {
		n, err := peek(fd)
		gone = n == 0 || err != nil && err != syscall.EAGAIN
	}); err != nil {
		return false // closed on this side, as its server will notice
	}
	return gone
}
