package pool

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
)

// hammered is what a hammering must leave behind.
func checkHammered(t *testing.T, p *Pool, inside *peak, requests uint64) {
	t.Helper()
	if got, slots := inside.max.Load(), int64(p.opts.Slots); got > slots {
		t.Errorf("%d handlers at once in %d slots", got, slots)
	} else if got < slots {
		t.Errorf("only %d of %d slots were ever used at once", got, slots)
	}
	total := p.opts.Page.Totals()
	if total.Requests != requests || total.Rejects.Total() != 0 {
		t.Errorf("%d requests counted, %d rejected; want %d and none", total.Requests, total.Rejects.Total(), requests)
	}
}

// busy keeps its slot until every slot is taken once, so that the limit is really met.
func busy(inside *peak, slots int) http.HandlerFunc {
	var met sync.WaitGroup
	met.Add(slots)
	var first sync.Map
	return func(w http.ResponseWriter, r *http.Request) {
		inside.enter()
		defer inside.leave()
		if _, seen := first.LoadOrStore(w.(*response).slot, true); !seen {
			met.Done()
			met.Wait()
		}
		io.WriteString(w, "ok")
	}
}

func TestNeverMoreHandlersThanSlots(t *testing.T) {
	const slots, clients, each = 4, 64, 25
	tests := map[string]struct {
		serve func(testing.TB, *Pool, net.Listener, http.HandlerFunc)
		drive func(addr string) error
	}{
		"http keep-alive": {serveHTTP, func(addr string) error {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(patience))
			c := newClient(nc)
			for range each {
				if res, body, err := c.do("POST", "/", "data"); err != nil || res.StatusCode != 200 || body != "ok" {
					return fmt.Errorf("%v %q %w", res, body, err)
				}
			}
			return nil
		}},
		"http new connections": {serveHTTP, func(addr string) error {
			for range each {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					return err
				}
				_ = nc.SetDeadline(time.Now().Add(patience))
				res, body, err := newClient(nc).do("GET", "/", "")
				nc.Close()
				if err != nil || res.StatusCode != 200 || body != "ok" {
					return fmt.Errorf("%v %q %w", res, body, err)
				}
			}
			return nil
		}},
		"one request per connection": {serveToy, func(addr string) error {
			for range each {
				if body, err := toyGet(addr, "/"); err != nil || body != "ok" {
					return fmt.Errorf("%q %w", body, err)
				}
			}
			return nil
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, Options{Slots: slots, QueueTimeout: patience})
			ln := listen(t)
			inside := &peak{}
			test.serve(t, p, ln, busy(inside, slots))
			var clientsDone sync.WaitGroup
			for range clients {
				clientsDone.Go(func() {
					if err := test.drive(ln.Addr().String()); err != nil {
						t.Error(err)
					}
				})
			}
			clientsDone.Wait()
			checkHammered(t, p, inside, clients*each)
		})
	}
}

// Two protocols share the slots of one worker.
func TestSlotsAreSharedBetweenListeners(t *testing.T) {
	const slots, each = 2, 200
	p := newPool(t, Options{Slots: slots, QueueTimeout: patience})
	inside := &peak{}
	h := busy(inside, slots)
	web, toy := listen(t), listen(t)
	serveHTTP(t, p, web, h)
	serveToy(t, p, toy, h)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := dial(t, web.Addr())
			for range each {
				if res, _, err := c.do("GET", "/", ""); err != nil || res.StatusCode != 200 {
					t.Errorf("http: %v %v", res, err)
					return
				}
			}
		})
		clients.Go(func() {
			for range each {
				if _, err := toyGet(toy.Addr().String(), "/"); err != nil {
					t.Errorf("toy: %v", err)
					return
				}
			}
		})
	}
	clients.Wait()
	checkHammered(t, p, inside, 8*each)
}

// holding blocks each request until it is let go, and tells who came in.
type holding struct {
	entered chan string
	release chan struct{}
}

func newHolding() *holding {
	return &holding{entered: make(chan string, 64), release: make(chan struct{})}
}

func (h *holding) serve(w http.ResponseWriter, r *http.Request) {
	h.entered <- r.URL.Path
	<-h.release
	io.WriteString(w, r.URL.Path)
}

// busyPool is a pool whose only slot is held by a request of first, while second is
// connected and idle.
func busyPool(t *testing.T, o Options) (p *Pool, h *holding, first, second *client) {
	t.Helper()
	o.Slots = 1
	p, h = newPool(t, o), newHolding()
	ln := newMemListener()
	serveHTTP(t, p, ln, h.serve)
	first, second = ln.dial(t), ln.dial(t)
	synctest.Wait()
	time.Sleep(2 * grace) // no reservation is in the way
	go first.send("GET", "/first", "")
	<-h.entered
	return p, h, first, second
}

func TestWaitingRequestsAreServedInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		h := newHolding()
		serveHTTP(t, p, ln, h.serve)
		var clients []*client
		for range 5 { // accepted while nothing runs
			c := ln.dial(t)
			clients = append(clients, c)
			synctest.Wait()
			time.Sleep(2 * grace) // fake time: its reservation is overdue
		}
		for i, c := range clients {
			go c.send("GET", fmt.Sprintf("/%d", i), "")
			synctest.Wait() // it is served, or in the queue
		}
		for i, c := range clients {
			if got, want := <-h.entered, fmt.Sprintf("/%d", i); got != want {
				t.Errorf("%s was served, want %s", got, want)
			}
			h.release <- struct{}{}
			if res, _, err := c.receive("GET"); err != nil || res.StatusCode != 200 {
				t.Fatalf("client %d: %v %v", i, res, err)
			}
		}
	})
}

func TestWaitEndsWith503AndRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done []Result
		p, h, first, second := busyPool(t, Options{QueueTimeout: 1500 * time.Millisecond,
			OnDone: func(_ *http.Request, res Result) { done = append(done, res) },
			AppOf:  func(r *http.Request) int { return strings.Count(r.URL.Path, "second") }})
		before, began := p.opts.Page.Totals(), time.Now()
		res, _, err := second.do("POST", "/second", "body")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" {
			t.Errorf("status %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
		}
		if waited := time.Since(began); waited != 1500*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		checkWaits(t, p, before, 0, 1500*time.Millisecond)
		if got := p.opts.Page.AppCounters()[1].Rejects; got[scoreboard.RejectQueueTimeout-1] != 1 || got.Total() != 1 {
			t.Errorf("rejected %v of the second app", got)
		}
		h.release <- struct{}{}
		if res, _, err := first.receive("GET"); err != nil || res.StatusCode != 200 {
			t.Errorf("the request that ran: %v %v", res, err)
		}
		go func() { <-h.entered; h.release <- struct{}{} }()
		if res, _, err := second.do("GET", "/third", ""); err != nil || res.StatusCode != 200 {
			t.Errorf("after the 503: %v %v", res, err)
		}
		if len(done) < 1 || done[0].Status != 503 || done[0].Slot != -1 || done[0].Bytes == 0 {
			t.Errorf("reported %+v", done)
		}
	})
}

// checkWaits wants so many who wait now, and that others did for as long as said, besides
// those of before: the connections of a busyPool may have met while it was made.
func checkWaits(t *testing.T, p *Pool, before stats.Counters, now uint64, over ...time.Duration) {
	t.Helper()
	want := before
	for _, d := range over {
		want.Waited += uint64(d)
		want.Waits[stats.LatencyBucket(d)]++
	}
	total := p.opts.Page.Totals()
	if n := p.opts.Page.Waiting(); n != now || total.Waited != want.Waited || total.Waits != want.Waits {
		t.Errorf("%d wait, others waited %v, %v; want %d, and %v, %v", n, time.Duration(total.Waited), total.Waits, now, time.Duration(want.Waited), want.Waits)
	}
}

func TestClientThatLeavesTheQueueTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan Result, 1)
		p, h, first, second := busyPool(t, Options{OnDone: func(r *http.Request, res Result) {
			if r.URL.Path == "/second" {
				gone <- res
			}
		}})
		before := p.opts.Page.Totals()
		go second.send("GET", "/second", "")
		synctest.Wait()
		checkWaits(t, p, before, 1)
		second.conn.Close()
		if res := <-gone; res.Status != 499 {
			t.Errorf("reported %+v", res)
		}
		h.release <- struct{}{}
		if _, _, err := first.receive("GET"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if total := p.opts.Page.Totals(); total.Requests != 1 || total.Rejects[scoreboard.RejectClientGone-1] != 1 || total.Rejects.Total() != 1 {
			t.Errorf("counted %+v", total)
		}
		checkWaits(t, p, before, 0, 0)
	})
}
