package pool

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func ok(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }

// drainIn starts a drain and gives its outcome.
func drainIn(p *Pool, limit, linger time.Duration) <-chan error {
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		result <- p.Drain(ctx, linger)
	}()
	return result
}

func TestDrainOfAnIdlePoolReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		synctest.Wait()
		began := time.Now()
		if err := <-drainIn(p, time.Minute, time.Second); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		select {
		case <-ln.closed:
		default:
			t.Error("the listener is open")
		}
		late := newMemListener()
		if _, err := p.Gate(late, GateOptions{}).Accept(); err != net.ErrClosed {
			t.Errorf("a gate made during the drain: %v", err)
		}
		<-late.closed
	})
}

func TestIdleConnectionIsServedOnceMoreDuringTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		c, unused := ln.dial(t), ln.dial(t)
		if res, _ := c.mustGet(t, "/"); res.Close {
			t.Error("closed before the drain")
		}
		synctest.Wait()
		drained := drainIn(p, time.Minute, 10*time.Second)
		time.Sleep(9 * time.Second)
		for name, c := range map[string]*client{"idle": c, "never used": unused} {
			if res, body := c.mustGet(t, "/"); body != "ok" || !res.Close {
				t.Errorf("%s: %q, close %v", name, body, res.Close)
			}
			if _, err := c.br.ReadByte(); err != io.EOF {
				t.Errorf("%s: after the last response: %v", name, err)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestSilentConnectionIsClosedAfterTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		c, unused := ln.dial(t), ln.dial(t)
		c.mustGet(t, "/")
		synctest.Wait()
		began := time.Now()
		drained := drainIn(p, time.Minute, 10*time.Second)
		for name, c := range map[string]*client{"idle": c, "never used": unused} {
			if _, err := c.br.ReadByte(); err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s: closed after %s", name, took)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestTheLingerCanBeShortenedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		c := ln.dial(t)
		c.mustGet(t, "/")
		synctest.Wait()
		began := time.Now()
		drained := drainIn(p, time.Minute, 10*time.Second)
		time.Sleep(time.Second)
		p.ShortenLinger(time.Hour) // longer: no change
		p.ShortenLinger(2 * time.Second)
		if _, err := c.br.ReadByte(); err != io.EOF || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// A response whose head was out before the drain began promised to keep the connection.
func TestConnectionThatGoesIdleDuringTheDrainGetsItsOwnLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			time.Sleep(30 * time.Second)
		})
		c := ln.dial(t)
		go c.send("GET", "/", "")
		synctest.Wait()
		began := time.Now()
		drained := drainIn(p, 2*time.Minute, 10*time.Second)
		if res, _, err := c.receive("GET"); err != nil || res.Close {
			t.Fatalf("%v %v", res, err)
		}
		if _, err := c.br.ReadByte(); err != io.EOF {
			t.Error(err)
		}
		if took := time.Since(began); took != 40*time.Second {
			t.Errorf("closed after %s, want 30s of work and 10s of linger", took)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestRunningRequestSaysCloseIfItsHeadIsNotOut(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"implied head": func(w http.ResponseWriter, r *http.Request) {},
		"written body": ok,
		"status":       func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) },
		"own wish": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			io.WriteString(w, "ok")
		},
		"panic": func(w http.ResponseWriter, r *http.Request) { panic("deliberate") },
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 1})
				ln := newMemListener()
				serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					h(w, r)
				})
				c := ln.dial(t)
				go c.send("GET", "/", "")
				synctest.Wait()
				drained := drainIn(p, time.Minute, 10*time.Second)
				if res, _, err := c.receive("GET"); err != nil || !res.Close {
					t.Errorf("%v %v", res, err)
				}
				if err := <-drained; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestQueuedRequestIsServedDuringTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, first, second := busyPool(t, Options{})
		go second.send("GET", "/second", "")
		synctest.Wait()
		drained := drainIn(p, time.Minute, 0)
		synctest.Wait()
		close(h.release)
		for _, c := range []*client{first, second} {
			if res, _, err := c.receive("GET"); err != nil || res.StatusCode != 200 || !res.Close {
				t.Errorf("%v %v", res, err)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestRefusalDuringTheDrainSaysClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, first, second := busyPool(t, Options{QueueTimeout: time.Second})
		drained := drainIn(p, time.Minute, 10*time.Second)
		synctest.Wait()
		if res, _ := second.mustGet(t, "/second"); res.StatusCode != 503 || !res.Close {
			t.Errorf("status %d, close %v", res.StatusCode, res.Close)
		}
		close(h.release)
		first.receive("GET")
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestDrainLimitNamesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 3})
		web, toy := newMemListener(), newMemListener()
		running := make(chan struct{}, 3)
		stuck := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/chat" {
				nc, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				running <- struct{}{}
				io.Copy(io.Discard, nc)
				return
			}
			running <- struct{}{}
			<-r.Context().Done()
		}
		serveHTTP(t, p, web, stuck)
		serveHTTP(t, p, toy, stuck)
		go web.dial(t).send("GET", "/stuck?secret", "")
		go toy.dial(t).send("POST", "/report", "")
		go web.dial(t).send("GET", "/chat", "")
		for range 3 {
			<-running
		}
		if err := <-drainIn(p, time.Minute, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Drain: %v", err)
		}
		left := map[string]bool{}
		for _, r := range p.InFlight() {
			if time.Since(r.Start) < time.Minute {
				t.Errorf("%s is said to have begun at %s", r.Path, r.Start)
			}
			left[r.Method+" "+r.Path] = r.Slot == -1
		}
		if len(left) != 3 || left["GET /stuck"] || left["POST /report"] || !left["GET /chat"] {
			t.Errorf("left: %v", left)
		}
		if n := p.CloseConns(); n != 3 {
			t.Errorf("%d connections cut", n)
		}
		synctest.Wait()
		if !p.empty() {
			t.Error("the handlers did not notice")
		}
	})
}

// What has arrived by the time of the expiry is a request, not silence.
func TestExpiryTakesALastLook(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = t.TempDir() + "/s"
			}
			ln, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			peer := dial(t, ln.Addr())
			inner, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c := newPool(t, Options{Slots: 1}).newConn(inner, grace)
			defer inner.Close()
			if _, err := io.WriteString(peer.conn, "late"); err != nil {
				t.Fatal(err)
			}
			c.expire()
			c.SetReadDeadline(time.Now().Add(patience)) // the server's wait begins after the expiry
			buf := make([]byte, 16)
			if n, err := c.Read(buf); string(buf[:n]) != "late" || err != nil {
				t.Fatalf("got %q, %v", buf[:n], err)
			}
			if c.quiet.Load() || c.expired.Load() {
				t.Error("the connection is still to be closed")
			}
			io.WriteString(peer.conn, "more")
			if n, err := c.Read(buf); string(buf[:n]) != "more" || err != nil {
				t.Fatalf("then %q, %v", buf[:n], err)
			}
		})
	}
}

// The client sees an end, not a reset, even if it sends while we close.
func TestExpiredConnectionEndsWithoutAReset(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ln := listen(t)
	serveHTTP(t, p, ln, ok)
	c := dial(t, ln.Addr())
	c.mustGet(t, "/")
	drained := drainIn(p, patience, 0)
	if _, err := c.br.ReadByte(); err != io.EOF {
		t.Fatalf("first %v", err)
	}
	if err := c.send("POST", "/", strings.Repeat("too late", 1000)); err != nil {
		t.Errorf("send: %v", err)
	}
	if _, err := c.br.ReadByte(); err != io.EOF {
		t.Errorf("then %v", err)
	}
	c.conn.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// The server may have the whole head in its buffer when the expiry comes: it then reads
// nothing before the body.
func TestRequestThatWasAlreadyReadSurvivesTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		server, peer := net.Pipe()
		defer peer.Close()
		defer server.Close()
		c := p.newConn(server, grace)
		go io.WriteString(peer, "body")
		c.expire()
		p.ConnState(c, http.StateActive)
		buf := make([]byte, 8)
		if n, err := c.Read(buf); string(buf[:n]) != "body" {
			t.Errorf("%q %v", buf[:n], err)
		}

		// The other order: it went to work just before.
		go io.WriteString(peer, "more")
		c.expire()
		if n, err := c.Read(buf); string(buf[:n]) != "more" {
			t.Errorf("%q %v", buf[:n], err)
		}
		// net/http interrupts its own read in the same moment: that must get through.
		c.expire()
		c.SetReadDeadline(time.Unix(1, 0))
		if _, err := c.Read(buf); !isTimeout(err) {
			t.Errorf("interrupted: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
