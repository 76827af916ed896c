package pool

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// statusClientGone is nginx's number for a client that did not wait for the answer.
const statusClientGone = 499

// Handler runs next in a slot of the pool.
func (p *Pool) Handler(next http.Handler) http.Handler {
	return &handler{pool: p, next: next}
}

type handler struct {
	pool *Pool
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := h.pool
	p.handlers.Add(1)
	defer p.handlerLeft()

	arrived := time.Now()
	p.watchdog.look(arrived.Sub(p.epoch))
	c := connOf(r.Context())
	if r.ProtoMajor == 2 && c != nil {
		c.shared.Store(true)
	}
	began := arrived
	slot, late, ok := p.admission.claim(c)
	if !ok || late {
		var err error
		if slot, err = p.await(r, c, slot, ok); err != nil {
			p.turnAway(w, r, c, arrived, err)
			return
		}
		began = time.Now()
	}
	p.newcomers.show()
	res := &response{inner: w, request: r, pool: p, conn: c, slot: slot, app: scoreboard.NoApp, arrived: arrived, began: began, holds: true}
	defer res.finish()
	res.begin()
	h.next.ServeHTTP(res, r)
	res.returned = true
}

func (p *Pool) handlerLeft() {
	p.handlers.Add(-1)
	p.tell()
}

// queue waits for a slot, or for ErrDraining. The first request of a connection that has
// waited in its gate already has no time left.
func (p *Pool) queue(r *http.Request, c *conn) (int, error) {
	timeout := p.opts.QueueTimeout
	if c != nil && c.waited.Swap(false) {
		timeout = 0
	}
	slot, err := p.admission.join(r.Context(), timeout)
	switch {
	case err != nil:
	case slot == noSlot:
		err = ErrDraining
	case slot == evicted:
		err = errQueueFull
	}
	return slot, err
}

// turnAway answers a request that got no slot.
func (p *Pool) turnAway(w http.ResponseWriter, r *http.Request, c *conn, arrived time.Time, err error) {
	res, why := Result{Status: statusClientGone, Start: arrived, Slot: noSlot}, scoreboard.RejectClientGone
	if err == errNoSlot || err == ErrDraining || err == errQueueFull {
		res.Status, why = http.StatusServiceUnavailable, scoreboard.RejectQueueTimeout
		if err == errQueueFull {
			why = scoreboard.RejectQueueFull
		}
		h := w.Header()
		if p.closing(r, c) {
			h.Set("Connection", "close")
		}
		h.Set("Retry-After", strconv.Itoa(p.retryAfter(err)))
		res.Bytes = refuse(w, r, http.StatusServiceUnavailable)
	}
	p.opts.Page.AddReject(p.appOf(r), why)
	res.Took = time.Since(arrived)
	if p.opts.OnDone != nil {
		p.opts.OnDone(r, res)
	}
	if res.Status == statusClientGone {
		panic(http.ErrAbortHandler) // there is nobody to answer; the server closes
	}
}

// retryAfter is in whole seconds: what this request waited in vain, the next may as well.
// A drain is not waited for: who comes again meets another process.
func (p *Pool) retryAfter(err error) int {
	if err == ErrDraining {
		return 1
	}
	return max(1, int((p.opts.QueueTimeout+time.Second-1)/time.Second))
}

// closing reports whether the response to r is to be the last one of c. On HTTP/2 other
// requests are under way: the server has its own way to say goodbye there.
func (p *Pool) closing(r *http.Request, c *conn) bool {
	return c != nil && c.kept && r.ProtoMajor == 1 && p.draining.Load()
}

// refuse writes an answer of our own, and gives the length of its body.
func refuse(w http.ResponseWriter, r *http.Request, status int) int64 {
	text := http.StatusText(status) + "\n"
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return 0
	}
	n, _ := io.WriteString(w, text) // an error is the client's loss, and it is gone
	return int64(n)
}
