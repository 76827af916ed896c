package master

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

// MetricsStore keeps what the applications of all processes count. The methods are called
// from one goroutine. process numbers processes in the order of their launches.
type MetricsStore interface {
	// Put takes an answer; partial: what is not in it may still be there.
	Put(process uint64, worker, generation int, answer []byte, partial bool) error

	// Retire says that a process is gone and that its last answer was final.
	Retire(process uint64)
}

const (
	gatherLimit   = 2 * time.Second         // a question waits for answers
	gatherTimeout = 1500 * time.Millisecond // what the collectors are given of that
	gatherEvery   = 10 * time.Second        // what a kill can take with it

	// maxUnanswered is how many questions may wait for a worker that is stopped. The
	// socket has room for them, so nobody waits to send, and nothing breaks.
	maxUnanswered = 4

	// answerCredit bounds what a worker can have on the way to its store.
	answerCredit = 2
)

// metrics asks the workers what their applications count, when somebody wants to know and
// every now and then: what was heard last of a process is all that is left of it.
//
//	GatherMetrics, clock ─▶ metrics ── question ─▶ loop ── Gather ─▶ workers
//	          MetricsStore ◀── metrics ◀─────────── answers, exits ───┘
//
// It has a goroutine of its own, because storing takes longer than the loop may be away.
type metrics struct {
	store MetricsStore        // fixed
	loop  *mailbox            // fixed
	every time.Duration       // fixed
	inbox *queue[metricsNote] // in front of it
	ended chan struct{}       // closed when nobody reads inbox any more

	asked atomic.Uint64 // the last question, for a program that takes our place

	// Owned by its goroutine.
	known   map[incarnation]*answering
	last    uint64                   // question
	open    bool                     // the last question is under way
	waiting map[incarnation]struct{} // whose answer to it is awaited
	askers  []chan<- struct{}        // who want to know
	clock   *time.Timer              // of the question, or until the next
}

// metricsNote is one thing that happened. Exactly one of the pointers is set, or none for
// the clock.
type metricsNote struct {
	asker  chan<- struct{}
	asked  *question
	answer *control.Metrics // whole
	gone   bool

	from   askable // of answer and gone
	credit credit  // of answer
	clock  uint64  // the question that time is over for; of the clock

	flushed chan<- struct{} // closed when it is taken
}

// question goes to the loop and comes back with who was asked.
type question struct {
	id     uint64
	except map[incarnation]struct{} // who has not answered for so long; not written any more
	asked  []askable
}

// askable is a process that can be asked.
type askable struct {
	inc  incarnation
	slot int
	gen  int
}

// answering is what is known of a process.
type answering struct {
	asked      uint64 // the last question
	answered   uint64 // the last question that it answered
	unanswered int    // questions since
	final      bool   // it has said its last
}

func newMetrics(store MetricsStore, loop *mailbox) *metrics {
	return &metrics{
		store: store, loop: loop, every: gatherEvery,
		inbox: newQueue[metricsNote](), ended: make(chan struct{}),
		known: make(map[incarnation]*answering),
	}
}

// start begins to ask, until the function it returns is called.
func (m *metrics) start() (stop func()) {
	quit := make(chan struct{})
	var running sync.WaitGroup
	m.arm(m.every)
	running.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-m.inbox.wake:
				for _, n := range m.inbox.grab() {
					m.take(n)
				}
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
		for _, n := range m.inbox.close() { // the last words of the last processes
			m.take(n)
		}
		m.clock.Stop()
		close(m.ended)
	}
}

// GatherMetrics asks all workers for the metrics of their applications, and waits until
// each has answered or had the time to. Who asks while another does gets the same answers.
func (m *Master) GatherMetrics(ctx context.Context) {
	if m.metrics == nil {
		return
	}
	done := make(chan struct{})
	if !m.metrics.inbox.post(metricsNote{asker: done}) {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-m.metrics.ended:
	}
}

// answers is what the hearer of a process does with its answers, part by part. It is nil if
// nobody asked.
type answers struct {
	metrics *metrics
	from    askable
	whole   control.Assembly
	open    credit
}

// listener goes on with an answer of which a part is there already.
func (m *metrics) listener(from askable, part *control.Assembled) *answers {
	if m == nil {
		return nil
	}
	a := &answers{metrics: m, from: from, open: make(credit, answerCredit)}
	a.whole.Resume(part)
	return a
}

func (a *answers) take(part control.Metrics) {
	if a == nil {
		return
	}
	answer, done, err := a.whole.Add(part)
	if err != nil {
		a.metrics.loop.post(note{complain: fmt.Errorf("worker %d: %w", a.from.slot, err)})
	}
	if done {
		a.open.take()
		a.metrics.inbox.post(metricsNote{answer: &answer, from: a.from, credit: a.open})
	}
}

func (a *answers) state() *control.Assembled {
	if a == nil {
		return nil
	}
	return a.whole.State()
}

// flush gives what is closed when all that came before is stored.
func (m *metrics) flush() <-chan struct{} {
	done := make(chan struct{})
	if m == nil || !m.inbox.post(metricsNote{flushed: done}) {
		close(done)
	}
	return done
}

// gone is posted after everything the process said.
func (m *metrics) gone(inc incarnation) {
	if m != nil {
		m.inbox.post(metricsNote{gone: true, from: askable{inc: inc}})
	}
}

func (m *metrics) take(n metricsNote) {
	switch {
	case n.flushed != nil:
		close(n.flushed)
	case n.asker != nil:
		m.askers = append(m.askers, n.asker)
		m.ask()
	case n.asked != nil:
		m.onAsked(n.asked)
	case n.answer != nil:
		m.onAnswer(n.from, n.answer)
		n.credit.giveBack()
	case n.gone:
		delete(m.known, n.from.inc)
		m.store.Retire(uint64(n.from.inc))
		m.heard(n.from.inc)
	case m.open && n.clock == m.last:
		m.finish()
	case !m.open && n.clock == 0:
		m.ask()
	}
}

// ask begins a question unless one is under way.
func (m *metrics) ask() {
	if m.open {
		return
	}
	m.last++
	m.asked.Store(m.last)
	m.open, m.waiting = true, nil
	q := &question{id: m.last, except: make(map[incarnation]struct{})}
	for inc, a := range m.known {
		if a.final || a.unanswered >= maxUnanswered {
			q.except[inc] = struct{}{}
		}
	}
	m.arm(gatherLimit)
	m.loop.post(note{question: q})
}

// onAsked comes before the answers. A worker that owes an answer already is asked, but not
// waited for: one that is stuck must cost one scrape its time, not all.
func (m *metrics) onAsked(q *question) {
	if !m.open || q.id != m.last {
		return // the time was over before the loop came to it; late answers are welcome
	}
	m.waiting = make(map[incarnation]struct{})
	for _, p := range q.asked {
		a := m.of(p.inc)
		if a.asked = q.id; a.unanswered == 0 && !a.final {
			m.waiting[p.inc] = struct{}{}
		}
		a.unanswered++
	}
	if len(m.waiting) == 0 {
		m.finish()
	}
}

// of returns what is known of a process that may say something for the first time.
func (m *metrics) of(inc incarnation) *answering {
	if m.known[inc] == nil {
		m.known[inc] = &answering{}
	}
	return m.known[inc]
}

// onAnswer stores an answer to a question that was asked and not answered yet, and one that
// is the last. Whatever else a worker sends costs no more than the reading.
func (m *metrics) onAnswer(from askable, answer *control.Metrics) {
	a := m.of(from.inc)
	final := answer.ID == 0 && !a.final
	if !final && (answer.ID <= a.answered || answer.ID > a.asked) {
		return
	}
	a.answered, a.unanswered = max(a.answered, answer.ID), 0
	a.final = a.final || final
	if err := m.store.Put(uint64(from.inc), from.slot, from.gen, answer.Data, answer.Partial); err != nil {
		m.loop.post(note{complain: err})
	}
	if final || answer.ID == m.last {
		m.heard(from.inc)
	}
}

// heard notes that nothing more is awaited from a process.
func (m *metrics) heard(inc incarnation) {
	if _, ok := m.waiting[inc]; !ok || !m.open {
		return
	}
	if delete(m.waiting, inc); len(m.waiting) == 0 {
		m.finish()
	}
}

// finish ends a question, and lets those who wanted to know look at the store.
func (m *metrics) finish() {
	m.open = false
	for _, done := range m.askers {
		close(done)
	}
	m.askers = nil
	m.arm(m.every)
}

// arm sets the clock: to the end of the question that is open, or the beginning of one.
func (m *metrics) arm(after time.Duration) {
	if m.clock != nil {
		m.clock.Stop()
	}
	n := metricsNote{}
	if m.open {
		n.clock = m.last
	}
	m.clock = time.AfterFunc(after, func() { m.inbox.post(n) })
}

// ask sends a question to all who can answer it, and tells whom before any of them can.
func (l *loop) ask(q *question) {
	l.machine.each(func(p *process) {
		if _, not := q.except[p.inc]; not || p.readyAt.IsZero() || p.lost || p.phase > Draining {
			return
		}
		q.asked = append(q.asked, askable{p.inc, p.slot.id, p.gen.id})
	})
	l.master.metrics.inbox.post(metricsNote{asked: q})
	for _, p := range q.asked {
		l.procs[p.inc].say(control.Gather{ID: q.id, Timeout: gatherTimeout})
	}
}
