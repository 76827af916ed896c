package pool

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// The kernel's queue is where connections wait: an idle sibling may take them there.
func TestNothingIsAcceptedWhileEverySlotIsBusy(t *testing.T) {
	for name, serve := range map[string]func(testing.TB, *Pool, net.Listener, http.HandlerFunc){
		"http": serveHTTP, "one request per connection": serveToy,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 2, QueueTimeout: time.Hour})
				ln := newMemListener()
				h := newHolding()
				serve(t, p, ln, h.serve)
				for i := range 5 {
					c := ln.dial(t)
					go fmt.Fprintf(c.conn, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
					go io.Copy(io.Discard, c.conn)
				}
				for served := range 5 {
					synctest.Wait()
					time.Sleep(time.Minute)
					if got, want := ln.accepted.Load(), int64(min(served+2, 5)); got != want {
						t.Errorf("%d accepted after %d were served, want %d", got, served, want)
					}
					h.release <- struct{}{}
				}
			})
		})
	}
}

// A gate that already waits in the listener's Accept must come out when the last slot goes
// to a connection that is kept alive.
func TestGateIsShutWhenTheLastSlotGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, QueueTimeout: time.Hour})
		ln := newMemListener()
		h := newHolding()
		serveHTTP(t, p, ln, h.serve)
		kept := ln.dial(t)
		synctest.Wait()
		time.Sleep(2 * grace)
		go kept.send("GET", "/", "")
		<-h.entered
		go ln.dial(t).send("GET", "/late", "")
		synctest.Wait()
		time.Sleep(time.Minute)
		if got := ln.accepted.Load(); got != 1 {
			t.Errorf("%d connections accepted, want the first only", got)
		}
		h.release <- struct{}{}
		if _, _, err := kept.receive("GET"); err != nil {
			t.Error(err)
		}
		if got := <-h.entered; got != "/late" {
			t.Errorf("%s came in", got)
		}
		h.release <- struct{}{}
		synctest.Wait()
	})
}

// More busy keep-alive clients than slots leave no slot free for an instant. A new
// connection has to get in all the same.
func TestNewConnectionIsAcceptedBesideBusyOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 2, QueueTimeout: time.Hour})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(100 * time.Millisecond)
			io.WriteString(w, "ok")
		})
		stop := make(chan struct{})
		var idle []*client
		for range 6 {
			idle = append(idle, ln.dial(t))
			synctest.Wait()
			time.Sleep(2 * grace)
		}
		for _, c := range idle {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, _, err := c.do("GET", "/", ""); err != nil {
						t.Errorf("kept alive: %v", err)
						return
					}
				}
			}()
		}
		time.Sleep(time.Second)
		began := time.Now()
		if _, body := ln.dial(t).mustGet(t, "/new"); body != "ok" {
			t.Errorf("got %q", body)
		}
		// Its turn in a queue of four, and then its own 100ms.
		if took := time.Since(began); took > time.Second {
			t.Errorf("the new connection waited %s", took)
		}
		close(stop)
		synctest.Wait()
		time.Sleep(time.Minute)
	})
}

func TestReservationGoesWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveToy(t, p, ln, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		silent := ln.dial(t)
		synctest.Wait()
		waiting := ln.dial(t)
		time.Sleep(time.Hour) // a firm reservation has no grace
		if got := ln.accepted.Load(); got != 1 {
			t.Fatalf("%d accepted beside a reservation", got)
		}
		silent.conn.Close()
		go fmt.Fprintln(waiting.conn, "/")
		if body, err := io.ReadAll(waiting.conn); err != nil || string(body) != "ok" {
			t.Errorf("after the silent one left: %q %v", body, err)
		}
	})
}

func TestSoftReservationIsTakenBackOnlyWhenNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		silent := ln.dial(t)
		synctest.Wait()
		began := time.Now()
		if _, body := ln.dial(t).mustGet(t, "/"); body != "ok" {
			t.Errorf("got %q", body)
		}
		if waited := time.Since(began); waited != grace {
			t.Errorf("the second connection waited %s, want the grace of the first", waited)
		}
		if _, body := silent.mustGet(t, "/"); body != "ok" {
			t.Errorf("the silent connection lost its request: %q", body)
		}
	})
}

func TestSoftReservationIsKeptWhileThereAreFreeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 2})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		ln.dial(t)
		time.Sleep(time.Hour)
		p.admission.mu.Lock()
		defer p.admission.mu.Unlock()
		if p.admission.soft.n != 1 || p.admission.reclaim {
			t.Errorf("%d reservations, timer armed: %v", p.admission.soft.n, p.admission.reclaim)
		}
	})
}

// An accepted connection that waits in its gate must not wait for ever: no sibling can
// take it any more.
func TestConnectionAcceptedWithoutASlotIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, QueueTimeout: time.Second})
		ln := newMemListener()
		h := newHolding()
		// Without a deadline the gate cannot be called back from Accept.
		serveHTTP(t, p, struct{ net.Listener }{ln}, h.serve)
		first := ln.dial(t)
		synctest.Wait()
		time.Sleep(2 * grace) // the gate is open again
		go first.send("GET", "/first", "")
		<-h.entered
		began := time.Now()
		late := ln.dial(t)
		res, _, err := late.do("GET", "/late", "")
		if err != nil || res.StatusCode != 503 {
			t.Fatalf("%v %v", res, err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("it waited %s, want the queue timeout once", waited)
		}
		close(h.release)
		synctest.Wait()
	})
}

func TestClosedGateAcceptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		slot, _, _ := p.admission.claim(nil)
		waiting := p.Gate(newMemListener(), GateOptions{})
		result := make(chan error)
		go func() {
			_, err := waiting.Accept()
			result <- err
		}()
		synctest.Wait() // it queues for a slot
		waiting.Close()
		if err := <-result; err != net.ErrClosed {
			t.Errorf("Accept: %v", err)
		}
		p.admission.release(slot)
		if p.admission.queue.n != 0 || len(p.admission.free) != 1 {
			t.Error("the gate left something behind")
		}
	})
}

// One accept that was kept from the processor does not make the queue empty.
func TestWhoIsBehindIsSoUntilAcceptsHaveWaitedInARow(t *testing.T) {
	g := &gate{behind: true}
	for n, c := range []struct {
		took   time.Duration
		behind bool
	}{
		{0, true}, {20 * turn, true}, {20 * turn, true}, {turn, true}, // not in a row
		{20 * turn, true}, {20 * turn, true}, {20 * turn, false},
	} {
		if g.judge(c.took); g.behind != c.behind {
			t.Errorf("accept %d: behind %t", n, g.behind)
		}
	}
}
