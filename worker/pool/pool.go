// Package pool bounds how many requests run at once, and knows how each is doing.
//
//	listener ─▶ Gate ─▶ conn ─▶ *http.Server, *uwsgi.Server ─▶ Handler ─▶ application
//	             │        │                                      │
//	             └────────┴──────── T slots, T rows ─────────────┘
//
// It promises: never more than Slots handlers at a time, and Reserve of those privileged; a
// connection is accepted only while a slot is free, or with MaxQueue when nobody else took
// it, so that the kernel's queue is the honest backlog and an idle sibling process gets what
// this one cannot serve; a slot comes back whatever the handler does, be it a panic, a hijack
// or runtime.Goexit; who has to wait is served in order of arrival unless NewestFirst is set,
// waits in this process no longer than QueueTimeout, and is not served if it went away
// meanwhile; a drain loses no request that reaches this process before the connection it came
// on was told to close, but answers 503 once EndRequests was called.
//
// It does not know which protocol a connection speaks, what a request means, or that
// there is a master. It logs nothing.
package pool

import (
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// DefaultQueueTimeout is how long a request waits for a slot when Options does not say.
const DefaultQueueTimeout = 5 * time.Second

// Options configure a Pool.
type Options struct {
	// Slots is how many handlers may run at once. Zero, and anything above the rows of
	// Page, means one for each row that Reserve leaves.
	Slots int

	// Reserve is how many handlers more may run of requests that Privileged points out,
	// which is asked about requests that find no slot free. They need a row each, too.
	Reserve    int
	Privileged func(*http.Request) bool

	// QueueTimeout limits the wait for a slot; the request is then answered 503. Zero
	// means DefaultQueueTimeout.
	QueueTimeout time.Duration

	// MaxQueue is how many requests may wait for a slot; a further one is answered 503. What
	// waits in the kernel has no clock and nobody to turn it away, so with a MaxQueue the
	// gates take in what they have no slot for, unless somebody else was faster.
	//
	// Zero: any number, and connections wait in the kernel.
	MaxQueue int

	// NewestFirst, with MaxQueue, gives slots to who came last while others have waited for
	// long, and turns away the oldest when the queue is full.
	NewestFirst bool

	// SocketTimeout limits each read and each write of a body on connections that came
	// through a gate with a Grace. Zero means no limit. Reading a request's head and
	// waiting for the next request are the server's to limit.
	SocketTimeout time.Duration

	// Page receives the numbers. Required.
	Page *scoreboard.Page

	// AppOf says for which app, by its number on the page, a request is that got no slot and
	// so reaches nobody who could Charge it. May be nil.
	AppOf func(*http.Request) int

	// RequestLimit is the number of requests at whose beginning OnLimit is called, once and
	// on a goroutine of its own. Zero: never.
	RequestLimit uint64
	OnLimit      func()

	// OnPanic is told of each handler's panic, with the stack of the panic. May be nil.
	OnPanic func(r *http.Request, v any, stack []byte)

	// OnOverrun is told of a request at each look that its Limits cause, before its context
	// ends; OnStuck of one whose handler did not return after that. They are called on
	// goroutines of their own. May be nil.
	OnOverrun func(Overrun)
	OnStuck   func(Request)

	// OnDone is told of each finished request after its slot was given back. May be nil.
	OnDone func(r *http.Request, res Result)
}

// Result is what became of a request.
type Result struct {
	Status int   // 499: the client went away while it waited for a slot
	Bytes  int64 // of the body
	Start  time.Time
	Took   time.Duration // the wait for a slot included
	Slot   int           // -1: it never had one
}

// Pool is a fixed number of request slots.
type Pool struct {
	opts  Options
	rows  []*scoreboard.Slot // one for each slot
	epoch time.Time          // what elapsed counts from

	admission admission
	conns     connSet
	newcomers newcomers
	watchdog  *watchdog
	stuck     stuckSet // requests that nobody waits for

	requests atomic.Uint64 // ids given out
	handlers atomic.Int64  // calls of Handler under way, hijacked and queued ones included
	draining atomic.Bool
	linger   atomic.Int64 // of the drain, a time.Duration; it only shrinks

	drainBegan chan struct{} // closed by Drain; see Draining
	ending     ending        // of requests; see EndRequests

	// news wakes Drain. Capacity 1: it says that something changed, not what.
	news chan struct{}
}

// New makes a pool of o.Slots free slots.
func New(o Options) *Pool {
	if rows := o.Page.Slots() - o.Reserve; o.Slots <= 0 || o.Slots > rows {
		o.Slots = rows
	}
	if o.QueueTimeout == 0 {
		o.QueueTimeout = DefaultQueueTimeout
	}
	p := &Pool{opts: o, epoch: time.Now(), drainBegan: make(chan struct{}), ending: newEnding(), news: make(chan struct{}, 1)}
	for i := range o.Slots + o.Reserve {
		p.rows = append(p.rows, o.Page.Slot(i))
	}
	p.newcomers.shown = make(chan struct{}, 1)
	p.watchdog = newWatchdog()
	p.stuck.all = make(map[*timed]struct{})
	p.linger.Store(math.MaxInt64)
	p.admission.init(o)
	return p
}

// elapsed is a cheap monotonic clock for deadlines; it is never zero.
func (p *Pool) elapsed() time.Duration { return time.Since(p.epoch) + 1 }

// tell wakes Drain. It costs one load while there is none.
func (p *Pool) tell() {
	if !p.draining.Load() {
		return
	}
	select {
	case p.news <- struct{}{}:
	default: // it has not read the last word yet
	}
}
