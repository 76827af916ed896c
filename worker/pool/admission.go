package pool

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// errNoSlot reports a wait of QueueTimeout in vain. Handler answers it with 503, and so it
// does ErrDraining; any other error of a wait is why the request's own context ended, and
// nobody is left to answer.
var errNoSlot = errors.New("no request slot became free in time")

// noSlot is the word that a wait is over without a slot.
const noSlot = -1

// admission hands out the slots.
//
// A slot is free, or it belongs to a request, or it is the reservation of a connection
// that was accepted and has not shown its request yet. A firm reservation lasts as long as
// its connection; a soft one may be taken back when its grace is over, but only if
// somebody needs the slot: nothing is timed while slots are free.
//
// Invariant: while anybody queues, no slot is free; nobody queues once it has ended.
type admission struct {
	page *scoreboard.Page // fixed; hears who waits
	mu   sync.Mutex

	// Guarded by mu.
	free    []int         // a stack: the row used last is still in the cache
	queue   list[*waiter] // requests, accepted connections and gates, by arrival
	soft    list[*conn]   // soft reservations, oldest first
	gates   []*gate
	closed  bool // no gate opens any more
	ended   bool // no request gets a slot any more
	reclaim bool // a timer is armed for the oldest soft reservation
}

// waiter is a place in the queue.
type waiter struct {
	place link[*waiter]
	kind  waiterKind
	ready chan int // capacity 1; a slot, or noSlot
}

type waiterKind uint8

const (
	waitRequest waiterKind = iota + 1 // wants a slot
	waitConn                          // an accepted connection; wants a slot, goes on without one at the drain
	waitGate                          // wants to be told that its turn has come
)

func newWaiter(kind waiterKind) *waiter {
	w := &waiter{kind: kind, ready: make(chan int, 1)}
	w.place.owner = w
	return w
}

func (a *admission) init(slots int, page *scoreboard.Page) {
	a.page = page
	a.free = make([]int, slots)
	for i := range a.free {
		a.free[i] = slots - 1 - i // slot 0 is taken first
	}
}

// claim gives a request the reservation of its connection (which may be nil) or a free
// slot; ok is false if it has to join the queue.
func (a *admission) claim(c *conn) (slot int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return noSlot, false
	}
	if c != nil && c.reserved != noSlot {
		return a.unreserve(c), true
	}
	return a.take()
}

// join waits in the queue for a slot. It gives noSlot if there will be none any more.
func (a *admission) join(ctx context.Context, kind waiterKind, timeout time.Duration) (int, error) {
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return noSlot, nil
	}
	if slot, ok := a.take(); ok {
		a.mu.Unlock()
		return slot, nil
	}
	w := newWaiter(kind)
	a.queue.pushBack(&w.place)
	a.armReclaim()
	a.mu.Unlock()
	return a.wait(ctx, w, timeout)
}

// wait ends with what w was sent, with errNoSlot, or with the cause of the end of ctx.
func (a *admission) wait(ctx context.Context, w *waiter, timeout time.Duration) (int, error) {
	if timeout > 0 { // else it has waited in its gate before, and this is the same wait
		a.page.BeginWait()
		defer func(began time.Time) { a.page.EndWait(time.Since(began)) }(time.Now())
	}
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	var err error
	select {
	case slot := <-w.ready:
		return slot, nil
	case <-limit.C:
		err = errNoSlot
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue.remove(&w.place) {
		return noSlot, err
	}
	// A slot came in the same moment. A client that has gone has no use for it.
	slot := <-w.ready
	if err == errNoSlot || slot == noSlot {
		return slot, nil
	}
	a.give(slot)
	return noSlot, err
}

// release takes back the slot of a request.
func (a *admission) release(slot int) {
	a.mu.Lock()
	a.give(slot)
	a.mu.Unlock()
}

// drop takes back the reservation of a connection that closes, if it still has one.
func (a *admission) drop(c *conn) {
	a.mu.Lock()
	if c.reserved != noSlot {
		a.give(a.unreserve(c))
	}
	a.mu.Unlock()
}

// take gives a slot to somebody who just came; those who queue go first. mu is held.
func (a *admission) take() (int, bool) {
	if !a.hasRoom() {
		return noSlot, false
	}
	last := len(a.free) - 1
	slot := a.free[last]
	a.free = a.free[:last]
	if last == 0 {
		a.shutGates()
	}
	return slot, true
}

// hasRoom reports whether somebody who comes now need not wait. mu is held.
func (a *admission) hasRoom() bool {
	if a.queue.n > 0 {
		return false
	}
	if len(a.free) == 0 && a.overdue() {
		a.free = append(a.free, a.unreserve(a.soft.first.owner))
	}
	return len(a.free) > 0
}

// overdue reports whether the oldest soft reservation may be taken back. mu is held.
func (a *admission) overdue() bool {
	return a.soft.first != nil && !time.Now().Before(a.soft.first.owner.graceEnds)
}

// give passes a slot on to whoever waits longest, or puts it back. mu is held.
func (a *admission) give(slot int) {
	for e := a.queue.first; e != nil; e = a.queue.first {
		w := e.owner
		a.queue.remove(e)
		if w.kind != waitGate {
			w.ready <- slot
			return
		}
		w.ready <- noSlot // its turn; it takes no slot, so look further
	}
	a.free = append(a.free, slot)
}

// reserve makes slot, which may be noSlot, the reservation of c. mu is held.
func (a *admission) reserve(c *conn, slot int) {
	c.reserved = slot
	if slot == noSlot {
		return
	}
	c.row.Store(int32(slot))
	if c.kept {
		c.graceEnds = time.Now().Add(c.grace)
		a.soft.pushBack(&c.softPlace)
		a.armReclaim()
	}
}

func (a *admission) unreserve(c *conn) int {
	slot := c.reserved
	c.reserved = noSlot
	a.soft.remove(&c.softPlace)
	return slot
}

// armReclaim makes sure that overdue reservations are taken back while somebody waits.
// mu is held.
func (a *admission) armReclaim() {
	if a.reclaim || a.queue.n == 0 || a.soft.n == 0 {
		return
	}
	a.reclaim = true
	time.AfterFunc(time.Until(a.soft.first.owner.graceEnds), a.reclaimOverdue)
}

func (a *admission) reclaimOverdue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reclaim = false
	for a.queue.n > 0 && a.overdue() {
		a.give(a.unreserve(a.soft.first.owner))
	}
	a.armReclaim()
}

// close ends the work of the gates and gives them back, for their listeners to be closed.
// Requests stay in the queue: they are served.
func (a *admission) close() []*gate {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for w := range a.queue.all {
		if w.kind != waitRequest {
			a.queue.remove(&w.place)
			w.ready <- noSlot
		}
	}
	return a.gates
}

// end sends away all requests that queue. A slot that is free, or becomes free, stays so.
func (a *admission) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	for w := range a.queue.all {
		a.queue.remove(&w.place)
		w.ready <- noSlot
	}
}

// busyGates counts the gates that may still come out with a connection.
func (a *admission) busyGates() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, g := range a.gates {
		if g.inside {
			n++
		}
	}
	return n
}
