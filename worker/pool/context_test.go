package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
)

// clientsOf serves h in every protocol, and gives a client of each.
func clientsOf(t *testing.T, p *Pool, h http.HandlerFunc) map[string]http.RoundTripper {
	t.Helper()
	web, h2c, front := listen(t), listen(t), listen(t)
	serveHTTP(t, p, web, h)
	both := new(http.Protocols)
	both.SetUnencryptedHTTP2(true)
	serveBy(t, p, &http.Server{Protocols: both}, h2c, h)
	serveUWSGI(t, p, &uwsgi.Server{}, front, h)
	h1, h2 := dialing(t, web), dialing(t, h2c)
	h2.Protocols = both
	return map[string]http.RoundTripper{"HTTP/1": h1, "HTTP/2": h2, "uwsgi": &uwsgi.Client{Network: "tcp", Addr: front.Addr().String()}}
}

func dialing(t *testing.T, ln net.Listener) *http.Transport {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func roundTrip(t *testing.T, rt http.RoundTripper) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("the answer ends after %q: %v", b, err)
	}
	return res.StatusCode, string(b)
}

// A handler is told in the middle of its answer, and can end that.
func TestEndRequestsIsHeardInEveryProtocol(t *testing.T) {
	p := newPool(t, Options{Slots: 8})
	var running sync.WaitGroup
	running.Add(6)
	clients := clientsOf(t, p, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		ctx, cancel := context.WithTimeout(r.Context(), patience) // as a query of a database would be
		defer cancel()
		running.Done()
		<-ctx.Done()
		fmt.Fprint(w, "told: ", errors.Is(context.Cause(ctx), ErrDraining), r.Context().Err(), context.Cause(r.Context()) == ErrDraining)
	})
	var asking sync.WaitGroup
	for name, rt := range clients {
		for range 2 {
			asking.Go(func() {
				if status, body := roundTrip(t, rt); status != 200 || body != "told: true context canceled true" {
					t.Errorf("%s: %d %q", name, status, body)
				}
			})
		}
	}
	running.Wait()
	drained := drainIn(p, patience, time.Hour)
	<-p.Draining()
	if n := p.EndRequests(); n != 6 {
		t.Errorf("%d requests were told, want 6", n)
	}
	asking.Wait()
	// A frame that comes late, of a window for example, is more than silence to the pool:
	// package server says goodbye to these connections.
	clients["HTTP/2"].(*http.Transport).CloseIdleConnections()
	if err := <-drained; err != nil { // the linger is over, too
		t.Error(err)
	}
}

// net/http derives a context for each connection, whoever looks at it.
func TestAContextOfAConnectionCostsNoGoroutine(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	server, peer := net.Pipe()
	defer peer.Close()
	c := p.newConn(server, grace)
	defer c.Conn.Close()
	served := context.WithValue(p.ConnContext(context.Background(), c), http.LocalAddrContextKey, c.LocalAddr())
	before := runtime.NumGoroutine()
	derive := func() {
		_, cancel := context.WithCancel(served)
		defer cancel()
		if n := runtime.NumGoroutine(); n > before {
			t.Fatalf("%d goroutines, there were %d", n, before)
		}
	}
	plain := testing.AllocsPerRun(100, func() {
		_, cancel := context.WithCancel(context.Background())
		cancel()
	})
	if n := testing.AllocsPerRun(100, derive); n > plain {
		t.Errorf("%.0f allocations, %.0f without a pool", n, plain)
	}
}

// Who waits for a slot is refused in a way that can be understood.
func TestNoRequestBeginsAfterEndRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, first, second := busyPool(t, Options{QueueTimeout: time.Hour})
		go second.send("GET", "/second", "")
		synctest.Wait()
		drained := drainIn(p, time.Hour, time.Hour)
		synctest.Wait()
		if n := p.EndRequests(); n != 1 {
			t.Errorf("%d requests were told, want the first", n)
		}
		res, body, err := second.receive("GET")
		if err != nil || res.StatusCode != 503 || !res.Close || res.Header.Get("Retry-After") != "1" {
			t.Errorf("the one in the queue: %+v %q %v", res, body, err)
		}
		close(h.release)
		if res, body, err := first.receive("GET"); err != nil || body != "/first" || !res.Close {
			t.Errorf("the one that ran: %v %q %v", res, body, err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if n := p.opts.Page.Totals().Rejects.Total(); n != 1 {
			t.Errorf("%d requests were counted as refused", n)
		}
		checkFree(t, p)
	})
}

// A connection was accepted, and says what it wants when it is too late.
func TestAHeadThatComesAfterEndRequestsIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveToy(t, p, ln, func(http.ResponseWriter, *http.Request) { t.Error("it was begun") })
		c := ln.dial(t)
		synctest.Wait() // it holds the slot
		drained := drainIn(p, time.Hour, 0)
		synctest.Wait()
		p.EndRequests()
		io.WriteString(c.conn, "/late\n")
		if body, err := io.ReadAll(c.br); err != nil || string(body) != "Service Unavailable\n" {
			t.Errorf("answered %q, %v", body, err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		checkFree(t, p)
	})
}

// A client goes away in the moment in which its request is sent away: there is no slot to
// give back.
func TestAClientThatGoesAsTheEndComesGivesNoSlotBack(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // of two words at once, either may be heard
		w := newWaiter(waitRequest)
		p.admission.queue.pushBack(&w.place)
		p.admission.end()
		if slot, err := p.admission.wait(gone, w, time.Hour); slot != noSlot || err != nil {
			t.Fatalf("slot %d, %v", slot, err)
		}
	}
	checkFree(t, p)
}

// A slot comes in the moment in which the contexts end: it is used or given back, and nobody
// is taken for a client that has gone.
func TestASlotThatComesWithTheEndIsNotLost(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ended, end := context.WithCancelCause(t.Context())
	end(ErrDraining)
	for range 100 { // of two words at once, either may be heard
		w := newWaiter(waitRequest)
		slot, _, _ := p.admission.claim(nil)
		w.ready <- slot
		slot, err := p.admission.wait(ended, w, time.Hour)
		if err == nil {
			p.admission.release(slot)
		} else if err != ErrDraining || slot != noSlot {
			t.Fatalf("slot %d, %v", slot, err)
		}
		checkFree(t, p)
	}
}

// Requests come, wait and end at the moment of it: all are answered, and no slot is lost.
func TestEndRequestsInTheMiddleOfEverything(t *testing.T) {
	p := newPool(t, Options{Slots: 2})
	var served, refused atomic.Int64
	enough := make(chan struct{})
	clients := clientsOf(t, p, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 300 {
			close(enough)
		}
		runtime.Gosched()
		fmt.Fprint(w, r.Context().Err())
	})
	var asking sync.WaitGroup
	for name, rt := range clients {
		for range 6 {
			asking.Go(func() {
				for {
					switch status, body := roundTrip(t, rt); status {
					case 200:
					case 503:
						refused.Add(1)
						return
					default:
						t.Errorf("%s: %d %q", name, status, body)
						return
					}
				}
			})
		}
	}
	<-enough
	p.EndRequests()
	asking.Wait()
	if n := refused.Load(); n != 18 {
		t.Errorf("%d clients were refused, want all 18", n)
	}
	clients["HTTP/2"].(*http.Transport).CloseIdleConnections()
	if err := <-drainIn(p, patience, 0); err != nil {
		t.Error(err)
	}
	checkFree(t, p)
}
