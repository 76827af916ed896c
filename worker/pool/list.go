package pool

// list is a doubly linked list whose links live in its members, so that joining and
// leaving allocate nothing. A member leaves from the middle as cheaply as from the front.
type list[T any] struct {
	first, last *link[T]
	n           int
}

// link is a member's place in one list.
type link[T any] struct {
	prev, next *link[T]
	owner      T
	in         bool
}

func (l *list[T]) pushBack(e *link[T]) {
	e.prev, e.next, e.in = l.last, nil, true
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
}

func (l *list[T]) pushFront(e *link[T]) {
	e.prev, e.next, e.in = nil, l.first, true
	if l.first != nil {
		l.first.prev = e
	} else {
		l.last = e
	}
	l.first = e
	l.n++
}

// remove reports whether e was a member.
func (l *list[T]) remove(e *link[T]) bool {
	if !e.in {
		return false
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next, e.in = nil, nil, false
	l.n--
	return true
}

// all may be used while the member at hand is removed.
func (l *list[T]) all(yield func(T) bool) {
	for e := l.first; e != nil; {
		next := e.next
		if !yield(e.owner) {
			return
		}
		e = next
	}
}
