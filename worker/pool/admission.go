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

const (
	// noSlot is the word that a wait is over without a slot.
	noSlot = -1
	// evicted is noSlot for whoever made room for another one.
	evicted = -2
)

// admission hands out the slots.
//
// A slot is free, or it belongs to a request, or it is the reservation of a connection
// that was accepted and has not shown its request yet. A firm reservation lasts as long as
// its connection; a soft one may be taken back when its grace is over, but only if
// somebody needs the slot: nothing is timed while slots are free.
//
// Invariant: while anybody queues, no slot is free; nobody queues once it has ended.
type admission struct {
	page  *scoreboard.Page // fixed; hears who waits
	rules overload         // fixed
	slots int              // fixed; those from here on are reserved ones
	mu    sync.Mutex

	// Guarded by mu.
	free    []int         // a stack: the row used last is still in the cache
	spare   []int         // reserved slots that are free
	waiting int           // requests in queue
	unseen  int           // connections that were taken in without a slot and have shown no request
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
	since time.Time // when it joined
	ready chan int  // capacity 1; a slot, or noSlot, or evicted
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

func (a *admission) init(o Options) {
	a.page, a.slots, a.rules = o.Page, o.Slots, newOverload(o)
	a.free, a.spare = numbers(0, o.Slots), numbers(o.Slots, o.Reserve)
}

// numbers gives n slots from first on, of which the lowest is taken first.
func numbers(first, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = first + n - 1 - i
	}
	return all
}

// claim gives a request the reservation of its connection (which may be nil) or a free
// slot; ok is false if it has to join the queue. late says that the connection has waited
// in the kernel, and that this is its first request.
func (a *admission) claim(c *conn) (slot int, late, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c != nil {
		a.saw(c)
		late, c.late = c.late, false
	}
	if a.ended {
		return noSlot, late, false
	}
	if c != nil && c.reserved != noSlot {
		return a.unreserve(c), late, true
	}
	slot, ok = a.take()
	return slot, late, ok
}

// join waits in the queue for a slot. It gives noSlot if there will be none any more, and
// evicted if the queue is full.
func (a *admission) join(ctx context.Context, timeout time.Duration) (int, error) {
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return noSlot, nil
	}
	if slot, ok := a.take(); ok {
		a.mu.Unlock()
		return slot, nil
	}
	if !a.makeRoom() {
		a.mu.Unlock()
		return evicted, nil
	}
	w := newWaiter(waitRequest)
	a.enqueue(w, false)
	a.mu.Unlock()
	return a.wait(ctx, w, timeout)
}

// enqueue puts w behind all others, or before them. mu is held.
func (a *admission) enqueue(w *waiter, first bool) {
	w.since = time.Now()
	if first {
		a.queue.pushFront(&w.place)
	} else {
		a.queue.pushBack(&w.place)
	}
	if w.kind == waitRequest {
		a.waiting++
	}
	a.armReclaim()
}

// dequeue reports whether w was in the queue. mu is held.
func (a *admission) dequeue(w *waiter) bool {
	if !a.queue.remove(&w.place) {
		return false
	}
	if w.kind == waitRequest {
		a.waiting--
	}
	return true
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
	if a.dequeue(w) {
		return noSlot, err
	}
	// A slot came in the same moment. A client that has gone has no use for it.
	slot := <-w.ready
	if err == errNoSlot || slot < 0 {
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
	a.saw(c)
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

// give passes a slot on to whoever waits longest, see next, or puts it back. mu is held.
func (a *admission) give(slot int) {
	if slot >= a.slots {
		a.spare = append(a.spare, slot)
		return
	}
	for w := a.next(); w != nil; w = a.next() {
		a.dequeue(w)
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
			a.dequeue(w)
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
		a.dequeue(w)
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
