package pool

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
)

// toyAsk sends a request of the toy protocol; what comes back arrives on the channel.
func toyAsk(t *testing.T, ln *memListener, path string) <-chan string {
	c := ln.dial(t).conn
	answer := make(chan string, 1)
	go func() {
		fmt.Fprintln(c, path)
		body, _ := io.ReadAll(c)
		answer <- strings.TrimSpace(string(body))
	}()
	return answer
}

const refused = "Service Unavailable"

func rejected(p *Pool, why stats.Reject) uint64 { return p.opts.Page.Totals().Rejects[why-1] }

// A full queue turns away at once, and who waits in it is served in order, on sockets with
// a connection for each request as on the others.
func TestAFullQueueTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, MaxQueue: 2, QueueTimeout: time.Hour})
		ln, h := newMemListener(), newHolding()
		serveToy(t, p, ln, h.serve)
		var answers []<-chan string
		for i := range 8 {
			if i < 4 { // of those that come at once nobody is the first
				time.Sleep(2 * aside)
			}
			answers = append(answers, toyAsk(t, ln, fmt.Sprintf("/%d", i)))
		}
		began := time.Now()
		for _, a := range answers[3:] {
			if got := <-a; got != refused {
				t.Errorf("got %q, want a refusal", got)
			}
		}
		if took := time.Since(began); took > 2*aside {
			t.Errorf("a full queue took %s to say so", took)
		}
		if n := rejected(p, scoreboard.RejectQueueFull); n != 5 {
			t.Errorf("%d refusals are counted", n)
		}
		for i := range 3 {
			if got, want := <-h.entered, fmt.Sprintf("/%d", i); got != want {
				t.Errorf("%s came in, want %s", got, want)
			}
			h.release <- struct{}{}
			<-answers[i]
		}
	})
}

// The time is limited where there is a clock: in this process.
func TestWhoIsTakenInWaitsNoLongerThanAllowed(t *testing.T) {
	for name, serve := range map[string]func(testing.TB, *Pool, net.Listener, http.HandlerFunc){
		"http": serveHTTP, "one request per connection": serveToy,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 1, MaxQueue: 100, QueueTimeout: time.Second})
				ln, h := newMemListener(), newHolding()
				serve(t, p, ln, h.serve)
				go fmt.Fprintf(ln.dial(t).conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				<-h.entered
				time.Sleep(2 * grace)
				began := time.Now()
				for range 10 {
					c := ln.dial(t)
					go fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					go io.Copy(io.Discard, c.conn)
				}
				for rejected(p, scoreboard.RejectQueueTimeout) < 10 {
					time.Sleep(aside)
					synctest.Wait()
				}
				if took := time.Since(began); took < time.Second || took > time.Second+5*aside {
					t.Errorf("all were turned away after %s", took)
				}
				close(h.release)
				synctest.Wait()
			})
		})
	}
}

// A worker that has no slot leaves connections to one that has.
func TestASiblingWithFreeSlotsIsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln, h := newMemListener(), newHolding()
		full := newPool(t, Options{Slots: 1, MaxQueue: 100})
		serveToy(t, full, ln, h.serve)
		toyAsk(t, ln, "/held")
		<-h.entered
		idle := newPool(t, Options{Slots: 1, MaxQueue: 100})
		twin := newMemListener() // another descriptor of the same socket
		twin.queue = ln.queue
		serveToy(t, idle, twin, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "idle") })
		for range 100 {
			synctest.Wait()
			if got := <-toyAsk(t, ln, "/"); got != "idle" {
				t.Errorf("got %q", got)
			}
		}
		if n := full.opts.Page.Totals().Waited; n != 0 {
			t.Errorf("the full one had somebody waiting for %s", time.Duration(n))
		}
		close(h.release)
		synctest.Wait()
	})
}

// In overload those who came last are likely to be still there.
func TestTheNewestGoFirstOnceTheOldestHaveWaitedLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, MaxQueue: 3, NewestFirst: true, QueueTimeout: 10 * time.Second})
		ln, h := newMemListener(), newHolding()
		serveToy(t, p, ln, h.serve)
		var answers []<-chan string
		for i := range 4 {
			answers = append(answers, toyAsk(t, ln, fmt.Sprintf("/%d", i)))
			synctest.Wait()
			time.Sleep(2 * aside)
		}
		turn := func(want string) {
			t.Helper()
			if got := <-h.entered; got != want {
				t.Errorf("%s came in, want %s", got, want)
			}
			h.release <- struct{}{}
			synctest.Wait()
		}
		turn("/0")
		turn("/1") // nobody has waited for a second
		time.Sleep(2 * time.Second)
		synctest.Wait()
		late := toyAsk(t, ln, "/4")
		time.Sleep(2 * aside)
		later := toyAsk(t, ln, "/5") // the queue holds /3, /4 and this
		time.Sleep(2 * aside)
		latest := toyAsk(t, ln, "/6")
		if got := <-answers[3]; got != refused {
			t.Errorf("the oldest got %q, want to make room for the newest", got)
		}
		time.Sleep(2 * time.Second)
		turn("/2") // it has been in the slot all the time
		for i, a := range []<-chan string{latest, later, late} {
			turn([]string{"/6", "/5", "/4"}[i])
			<-a
		}
	})
}

// Connections that show no request cannot pile up in a worker without a slot.
func TestSilentConnectionsAreNotTakenInWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, MaxQueue: 1})
		ln, h := newMemListener(), newHolding()
		serveToy(t, p, ln, h.serve)
		toyAsk(t, ln, "/held")
		<-h.entered
		var silent []*client
		for range unseenMost + 20 {
			silent = append(silent, ln.dial(t))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := ln.accepted.Load(); got != 1+unseenMost {
			t.Errorf("%d were accepted, want the first and %d", got, unseenMost)
		}
		for _, c := range silent {
			c.conn.Close()
		}
		time.Sleep(time.Second)
		if got := ln.accepted.Load(); got != int64(1+len(silent)) {
			t.Errorf("%d were accepted when they had gone, want all %d", got, 1+len(silent))
		}
		close(h.release)
		synctest.Wait()
	})
}

// Health checks are answered while every slot is taken and the queue is full; they are as
// many as slots are reserved for them.
func TestReservedSlotsAreForThePrivileged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, Reserve: 1, MaxQueue: 1, QueueTimeout: time.Hour, Page: newPage(t, 2),
			Privileged: func(r *http.Request) bool { return r.URL.Path == "/healthz" }})
		ln, h := newMemListener(), newHolding()
		serveToy(t, p, ln, h.serve)
		toyAsk(t, ln, "/held")
		<-h.entered
		waiting := toyAsk(t, ln, "/waiting")
		time.Sleep(2 * aside)
		if got := <-toyAsk(t, ln, "/other"); got != refused {
			t.Errorf("an ordinary request got %q", got)
		}
		healthy := toyAsk(t, ln, "/healthz")
		if got := <-h.entered; got != "/healthz" {
			t.Errorf("%s came in", got)
		}
		if got := <-toyAsk(t, ln, "/healthz"); got != refused {
			t.Errorf("a second one got %q, and there is one reserved slot", got)
		}
		h.release <- struct{}{} // either of the two; the other follows
		h.release <- struct{}{}
		if got := <-h.entered; got != "/waiting" {
			t.Errorf("%s came in", got)
		}
		h.release <- struct{}{}
		<-waiting
		if got := <-healthy; got != "/healthz" {
			t.Errorf("the health check got %q", got)
		}
		if p.admission.free[0] != 0 || p.admission.spare[0] != 1 || len(p.admission.free)+len(p.admission.spare) != 2 {
			t.Errorf("free are %v and %v", p.admission.free, p.admission.spare)
		}
	})
}

// A client that has given up while it waited in the kernel is found when its turn comes.
func TestWhoWentAwayInTheKernelIsNotServed(t *testing.T) {
	for name, o := range map[string]Options{"in the kernel": {}, "taken in": {MaxQueue: 100}} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan string, 10)
			o.Slots = 1
			o.OnDone = func(r *http.Request, res Result) {
				if res.Status == statusClientGone {
					gone <- r.URL.Path
				}
			}
			p, ln, h := newPool(t, o), listen(t), newHolding()
			serveToy(t, p, ln, h.serve)
			ask := func(path string) net.Conn {
				c := dial(t, ln.Addr()).conn
				fmt.Fprintln(c, path)
				return c
			}
			ask("/first")
			<-h.entered
			ask("/leaves").Close()
			ask("/stays")
			h.release <- struct{}{}
			if got := <-h.entered; got != "/stays" {
				t.Errorf("%s was served", got)
			}
			if got := <-gone; got != "/leaves" {
				t.Errorf("%s is said to have gone", got)
			}
			if n := rejected(p, scoreboard.RejectClientGone); n != 1 {
				t.Errorf("%d are counted", n)
			}
			h.release <- struct{}{}
		})
	}
}
