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
type herald struct{ news *queue[Progress] }

func newHerald() *herald { return &herald{newQueue[Progress]()} }

func (h *herald) post(p Progress) { h.news.post(p) }

// start begins to tell, until the function it returns is called; what was posted before is
// told then.
func (h *herald) start(tell func(Progress)) (stop func()) {
	if tell == nil {
		tell = func(Progress) {}
	}
	quit := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-h.news.wake:
				for _, p := range h.news.grab() {
					tell(p)
				}
			}
		}
	})
	return func() {
		close(quit)
		telling.Wait()
		for _, p := range h.news.close() {
			tell(p)
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
