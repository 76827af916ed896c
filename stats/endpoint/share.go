package endpoint

import "sync"

// shared makes something for all who ask. Those who ask while one is being made share the
// next, so that what they get is never older than their question, and a thousand clients
// cost no more than two makings. What is shared is only read.
type shared[T any] struct {
	produce func() (T, error)

	turn chan struct{} // has room for the one who makes

	mu   sync.Mutex
	next *batch[T] // nil: nobody waits
}

func newShared[T any](produce func() (T, error)) *shared[T] {
	return &shared[T]{produce: produce, turn: make(chan struct{}, 1)}
}

// batch is who shares one making.
type batch[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func (s *shared[T]) get() (T, error) {
	s.mu.Lock()
	b, leads := s.next, s.next == nil
	if leads {
		b = &batch[T]{done: make(chan struct{})}
		s.next = b
	}
	s.mu.Unlock()
	if leads {
		s.lead(b)
	}
	<-b.done
	return b.value, b.err
}

func (s *shared[T]) lead(b *batch[T]) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	s.next = nil // whoever comes from here on wants to know what is true later
	s.mu.Unlock()
	defer close(b.done) // in a panic as well: the others would wait for ever
	b.value, b.err = s.produce()
}
