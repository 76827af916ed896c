package master

import (
	"sync"

	"github.com/seed17661985/ostler/worker/control"
)

// note is an event on its way to the loop, with what only the loop may hold.
type note struct {
	ev     event
	loaded *admitted // with evLoaded
	proc   Process   // with evSpawned
	caller caller    // with an evReload that has one
	credit credit    // to be given back, if any, when the loop is done with the note

	// Without an event: what the collecting of metrics wants of the loop.
	question *question
	complain error
	pong     chan<- struct{} // nor here: closed when the loop has come this far

	overrun *overrun // nor here: said by a worker

	look bool // nor here: the processes are to be looked at

	// Nor here: another program is to take the master's place.
	rest       chan<- struct{} // closed when the machine rests
	freeze     *freezing
	freezeOver *freezing // it has lasted too long
	paused     *paused
}

// paused says that a process is not heard any more, and what is there of its answer.
type paused struct {
	inc    incarnation
	answer *control.Assembled
}

// credit bounds how many notes about one worker's words may be on their way: a worker
// that talks without end has to wait like whoever talks to somebody slow.
type credit chan struct{}

// frameCredit times control.MaxFrame is what a worker can make its master hold.
const frameCredit = 8

func newCredit() credit { return make(credit, frameCredit) }

func (c credit) take() { c <- struct{}{} }

func (c credit) giveBack() {
	if c != nil {
		<-c
	}
}

// caller waits for the end of a reload.
type caller struct {
	answer chan<- answer   // has room for one
	steps  chan<- Progress // has room for all of a reload
}

type answer struct {
	outcome Outcome
	err     error
}

// mailbox is the queue in front of the loop. Posting never blocks, so that a signal
// handler, a timer and the waiter of a process can all post without a thought for what
// the loop is doing. What a process outside decides the number of comes with a credit.
type mailbox = queue[note]

func newMailbox() *mailbox { return newQueue[note]() }

// queue is in front of a goroutine that owns something.
type queue[T any] struct {
	wake chan struct{} // has room for one

	mu     sync.Mutex // held for an append only
	queue  []T
	closed bool
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

// post reports whether somebody will read the note.
func (b *queue[T]) post(n T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, n)
	select {
	case b.wake <- struct{}{}:
	default: // one is enough
	}
	return true
}

// take waits for notes and returns all there are, in order. There may be none: a wake-up
// can be left over from notes that were taken already.
func (b *queue[T]) take() []T {
	<-b.wake
	return b.grab()
}

// grab is take for who was woken already.
func (b *queue[T]) grab() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	notes := b.queue
	b.queue = nil
	return notes
}

// close refuses further notes and returns those nobody took.
func (b *queue[T]) close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	notes := b.queue
	b.queue = nil
	return notes
}
