package pool

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// turn is how long a gate looks for a connection when its turn in the queue comes and no
// slot is free. What waits in the kernel is there at once; the time is for the look alone.
const turn = time.Millisecond

// longAgo interrupts an Accept.
var longAgo = time.Unix(1, 0)

// GateOptions say what may be expected of the connections of a listener.
type GateOptions struct {
	// Grace is how long a new connection may keep the slot it was accepted for without a
	// request.
	//
	// Zero is for protocols with one request per connection, spoken by a server that
	// limits its reads and writes itself (uwsgi): the slot is kept until the request ends
	// or the connection closes.
	//
	// Above zero is for connections that are kept alive (http, 10ms). A request that comes
	// after the grace, and each further one, waits for a slot like everybody else. These
	// connections get SocketTimeout, and "Connection: close" while draining.
	Grace time.Duration
}

// Gate wraps ln so that it accepts only while a slot is free. Its Accept answers
// net.ErrClosed from the moment a drain begins.
func (p *Pool) Gate(ln net.Listener, o GateOptions) net.Listener {
	g := &gate{Listener: ln, pool: p, opts: o, turn: newWaiter(waitGate)}
	g.deadline, _ = ln.(deadliner)
	a := &p.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gates = append(a.gates, g)
	if a.closed {
		_ = ln.Close() // as Drain would have done
	}
	return g
}

// deadliner is what a listener must be for its Accept to be interrupted. Through one that
// is not, a single connection may be accepted after the last slot was taken; it waits.
type deadliner interface {
	SetDeadline(time.Time) error
}

// gate is a listener that stands back while no slot is free.
//
// It takes its turn in the queue like a request. Without that, a few busy connections that
// are kept alive could fill all slots for good, and new ones would never be accepted.
type gate struct {
	net.Listener
	pool     *Pool
	opts     GateOptions
	deadline deadliner // nil if Listener has none

	accepting sync.Mutex // one Accept at a time

	// Guarded by accepting.
	only   bool // there is no other gate
	behind bool // there was no room, and the kernel's queue was not seen empty since
	calm   int  // accepts in a row since then that seem to have found it empty
	late   bool // so it was before the connection at hand, which may have waited there
	found  bool // the last look for what waits there found a connection
	burst  burst

	// Guarded by admission.mu.
	turn    *waiter
	inside  bool // in the listener's Accept; Drain waits for it
	open    bool // inside because there was room; to be interrupted when there is none
	looks   bool // inside because its turn came; what it finds goes to the head of the queue
	deadSet bool // the listener's deadline is not zero
	gone    bool // Close was called
}

// Accept waits for room and then for a connection.
func (g *gate) Accept() (net.Conn, error) {
	g.accepting.Lock()
	defer g.accepting.Unlock()
	for {
		if g.opts.Grace > 0 {
			g.leaveToSiblings()
		}
		if err := g.enter(); err != nil {
			return nil, err
		}
		inner, err := g.acceptInner()
		if err == nil {
			return g.admit(inner), nil
		}
		if closed := g.leave(); closed {
			return nil, net.ErrClosed
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err // too many open files, for one; the server waits and comes back
		}
	}
}

// loner is a listener that wakes one process of all that wait alone, at the price that
// nothing else in this process gets on meanwhile.
type loner interface {
	AcceptAlone() (net.Conn, error)
}

func (g *gate) acceptInner() (c net.Conn, err error) {
	if g.opts.Grace > 0 {
		defer func(began time.Time) {
			if err == nil {
				g.burst.took(time.Since(began))
			}
		}(time.Now())
	}
	if g.late = g.behind; g.late {
		defer func(began time.Time) { g.judge(time.Since(began)) }(time.Now())
	}
	if l, ok := g.Listener.(loner); ok && g.alone() {
		return l.AcceptAlone()
	}
	return g.Listener.Accept()
}

// calmEnough is how many accepts in a row have to wait until nobody is behind any more.
const calmEnough = 3

// judge takes an accept for what it took. Who has to wait so long finds the queue empty, or does
// not have the processor; the latter happens now and then on a busy machine, but hardly each time.
func (g *gate) judge(took time.Duration) {
	if took < 10*turn {
		g.calm = 0
	} else {
		g.calm++
	}
	g.behind = g.calm < calmEnough
}

// leaveToSiblings stands back for a moment when it is time.
func (g *gate) leaveToSiblings() {
	stood := g.pool.standBack()
	if !stood && g.burst.due(g.pool.conns.len()) {
		time.Sleep(courtesy)
		stood = true
	}
	if stood {
		g.burst.rested()
	}
}

// alone reports whether nobody in this pool waits for anything but this gate: a request,
// a connection and another gate all depend on the runtime's poller.
func (g *gate) alone() bool {
	p := g.pool
	return g.only && p.handlers.Load() == 0 && p.conns.len() == 0
}

// enter waits until there is room for a connection, or until this gate's turn has come.
func (g *gate) enter() error {
	a := &g.pool.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && !g.gone && !a.hasRoom() {
		g.behind, g.calm = true, 0
		g.standAside()
	}
	if a.closed || g.gone {
		return net.ErrClosed
	}
	g.inside = true
	g.only = len(a.gates) == 1
	g.open = a.hasRoom()
	g.looks = !g.open
	g.setDeadline()
	return nil
}

// setDeadline lets the coming Accept wait for ever, or only look. mu is held.
func (g *gate) setDeadline() {
	switch {
	case g.deadline == nil:
	case g.looks:
		g.deadSet = true
		_ = g.deadline.SetDeadline(time.Now().Add(turn))
	case g.deadSet:
		g.deadSet = false
		_ = g.deadline.SetDeadline(time.Time{})
	}
}

// shutGates interrupts the gates that entered because there was room. mu is held, or the
// deadline could hit the next Accept of a gate that is just coming out.
func (a *admission) shutGates() {
	for _, g := range a.gates {
		if g.open && g.deadline != nil {
			g.open, g.deadSet = false, true
			_ = g.deadline.SetDeadline(longAgo)
		}
	}
}

// leave reports whether the gate was closed meanwhile.
func (g *gate) leave() bool {
	a := &g.pool.admission
	a.mu.Lock()
	g.inside, g.open, g.found = false, false, false
	closed := a.closed || g.gone
	a.mu.Unlock()
	g.pool.tell()
	return closed
}

// admit gives a new connection its slot. It has to wait for one if somebody else was
// faster, or if this gate came in without room.
func (g *gate) admit(inner net.Conn) net.Conn {
	c := g.pool.newConn(inner, g.opts.Grace)
	c.late = g.late
	g.pool.conns.add(c) // before inside ends: Drain must see the one or the other
	a := &g.pool.admission
	a.mu.Lock()
	g.inside, g.open, g.found = false, false, g.looks
	slot, ok := noSlot, a.closed // while draining its request queues with the others
	if !ok {
		slot, ok = a.take()
	}
	if ok {
		a.reserve(c, slot)
		a.mu.Unlock()
		return c
	}
	if a.rules.takesIn() {
		a.takeIn(c)
		a.mu.Unlock()
		return c
	}
	w := newWaiter(waitConn)
	a.enqueue(w, g.looks)
	a.mu.Unlock()
	return g.await(c, w)
}

func (g *gate) await(c *conn, w *waiter) net.Conn {
	a := &g.pool.admission
	slot, err := a.wait(context.Background(), w, g.pool.opts.QueueTimeout)
	c.waited.Store(err != nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserve(c, slot)
	return c
}

// Close gives up this process's share of the listener.
func (g *gate) Close() error {
	a := &g.pool.admission
	a.mu.Lock()
	g.gone = true
	if a.dequeue(g.turn) {
		g.turn.ready <- noSlot
	}
	a.mu.Unlock()
	return g.Listener.Close()
}
