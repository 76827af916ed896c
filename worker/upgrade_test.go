package worker

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// A websocket has no end of its own, so its end is no failure of the drain: not even if it
// stays to the last moment, and not if the drain is told to hurry.
func TestDrainEndsUpgradedConnections(t *testing.T) {
	for _, c := range []struct {
		name   string
		mercy  time.Duration
		polite bool
		hurry  time.Duration // of a second Drain, one second after the first
		want   time.Duration
	}{
		{name: "a handler that listens", mercy: 5 * time.Second, polite: true, want: 0},
		{name: "one that does not", mercy: 5 * time.Second, want: 5 * time.Second},
		{name: "no mercy given", want: 17 * time.Second},
		{name: "more mercy than the drain has", mercy: time.Hour, want: 17 * time.Second},
		{name: "a hurried drain", mercy: 15 * time.Second, hurry: 5 * time.Second, want: 4500 * time.Millisecond},
		{name: "a hurry that does not matter", mercy: 3 * time.Second, hurry: 10 * time.Second, want: 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serving(t, &app{handler: hijacker(c.polite), mercy: c.mercy})
				ended := r.given.listeners[0].upgrade(t)
				began := time.Now()
				r.send(control.Drain{Timeout: 20 * time.Second})
				if c.hurry > 0 {
					time.Sleep(time.Second) // fake
					r.send(control.Drain{Timeout: c.hurry})
				}
				if err := r.end(); err != nil {
					t.Errorf("the drain failed: %v", err)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("it took %s, want %s", took, c.want)
				}
				if err := <-ended; !errors.Is(err, io.EOF) {
					t.Errorf("the client saw %v", err)
				}
				if !c.polite {
					r.logged("upgraded connections closed, their mercy is over")
				}
			})
		})
	}
}

// Its context ends with those of all requests, which is no news for it any more.
func TestAnUpgradedConnectionIsClosedBeforeItsContextEnds(t *testing.T) {
	for range 10 { // two alarms that ring at the same moment
		synctest.Test(t, func(t *testing.T) {
			wrote := make(chan error, 1)
			r := serving(t, &app{handler: func(w http.ResponseWriter, r *http.Request) {
				nc, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return // the test sees no 101
				}
				defer nc.Close()
				io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				<-r.Context().Done()
				_, err = io.WriteString(nc, "x")
				wrote <- err
			}})
			ended := r.given.listeners[0].upgrade(t)
			r.send(control.Drain{Timeout: 10 * time.Second})
			if err := <-wrote; !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("the handler could still write: %v", err)
			}
			<-ended
			if err := r.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// hijacker keeps a connection until the drain, or for as long as the client does.
func hijacker(polite bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the test sees no 101
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		if polite {
			<-pool.Draining(r.Context())
			return
		}
		io.Copy(io.Discard, nc)
	}
}

// upgrade opens a connection that is hijacked, and reports how it ends.
func (l *memListener) upgrade(t *testing.T) <-chan error {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	l.queue <- theirs
	if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(ours)
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", res, err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := br.ReadByte()
		ended <- err
	}()
	return ended
}
