package master

import "sync"

// Progress is one moment of the master's life, for those who show it.
type Progress struct {
	State      State
	Generation int      // that a reload tries, or tried; zero outside of one
	Step       Step     // that this reload has come to; zero if it has not moved
	Outcome    *Outcome // of a reload that ends just now
}

// herald takes the loop's news to whoever listens, who may be slow.
type herald struct{ news *queue[heraldNote] }

// heraldNote is something to tell, or the question whether all before it was told.
type heraldNote struct {
	Progress
	told chan<- struct{}
}

func newHerald() *herald { return &herald{newQueue[heraldNote]()} }

func (h *herald) post(p Progress) { h.news.post(heraldNote{Progress: p}) }

// flush gives what is closed when all that was posted is told.
func (h *herald) flush() <-chan struct{} {
	told := make(chan struct{})
	if !h.news.post(heraldNote{told: told}) {
		close(told)
	}
	return told
}

// start begins to tell, until the function it returns is called; what was posted before is
// told then.
func (h *herald) start(tell func(Progress)) (stop func()) {
	if tell == nil {
		tell = func(Progress) {}
	}
	take := func(n heraldNote) {
		if n.told != nil {
			close(n.told)
			return
		}
		tell(n.Progress)
	}
	quit := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-h.news.wake:
				for _, n := range h.news.grab() {
					take(n)
				}
			}
		}
	})
	return func() {
		close(quit)
		telling.Wait()
		for _, n := range h.news.close() {
			take(n)
		}
	}
}

// progress tells of a step: the caller that waits for its reload, and everybody.
func (l *loop) progress(a actProgress) {
	p := Progress{State: l.machine.state, Generation: a.gen, Step: a.step}
	if c, ok := l.callers[a.caller]; ok {
		c.steps <- p // has room
	}
	l.herald.post(p)
}
