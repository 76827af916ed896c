package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// deaf is a worker with a request that minds nobody, asked to drain within a minute. It
// tells when its context ended, and the cause.
func deaf(t *testing.T) (r *rig, a *app, told chan error) {
	t.Helper()
	begun, told := make(chan struct{}), make(chan error, 1)
	a = &app{handler: func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { told <- context.Cause(r.Context()) })
		close(begun)
		untilCut(w)
	}}
	r = serving(t, a)
	r.given.listeners[0].call(t, plain("/deaf"))
	<-begun
	r.send(control.Drain{Timeout: time.Minute})
	synctest.Wait()
	return r, a, told
}

// Whatever shortens a drain shortens it for the request first: it is told two seconds before
// it is cut.
func TestWhatHappensDuringADrain(t *testing.T) {
	tests := map[string]struct {
		happens   func(*rig)
		told, cut time.Duration
	}{
		"nothing":          {func(*rig) {}, 57 * time.Second, 59 * time.Second},
		"one SIGTERM":      {func(r *rig) { r.signals <- syscall.SIGTERM }, 57 * time.Second, 59 * time.Second},
		"a sooner drain":   {func(r *rig) { r.send(control.Drain{Timeout: 10 * time.Second}) }, 7 * time.Second, 9 * time.Second},
		"a much sooner":    {func(r *rig) { r.send(control.Drain{Timeout: time.Second}) }, 700 * time.Millisecond, 900 * time.Millisecond},
		"a later drain":    {func(r *rig) { r.send(control.Drain{Timeout: time.Hour}) }, 57 * time.Second, 59 * time.Second},
		"the master goes":  {func(r *rig) { r.conn.Close() }, 17 * time.Second, 19 * time.Second},
		"the context ends": {func(r *rig) { r.stop() }, 57 * time.Second, 59 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, a, told := deaf(t)
				began := time.Now()
				test.happens(r)
				if cause := <-told; !errors.Is(cause, pool.ErrDraining) || time.Since(began) != test.told {
					t.Errorf("told %v after %s, want it after %s", cause, time.Since(began), test.told)
				}
				checkCut(t, r, a, began, test.cut)
				r.logged(fmt.Sprintf("requests told that the drain ends: gen=7 pid=%d slot=2 requests=1 left=%s", syscall.Getpid(), test.cut-test.told))
				if n := strings.Count(r.log.String(), "requests told"); n != 1 {
					t.Errorf("it is said %d times", n)
				}
			})
		})
	}
}

// There is no time for a last word, and the log does not say so. Still, a handler that waits
// for nothing but its context returns: nobody reads the body, so it has no other way to know.
func TestADrainThatIsCutAtOnceTellsAfterwards(t *testing.T) {
	tests := map[string]func(*rig){
		"two SIGTERMs":    func(r *rig) { r.signals <- syscall.SIGTERM; r.signals <- syscall.SIGTERM },
		"a drain at once": func(r *rig) { r.send(control.Drain{}) },
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := make(chan struct{})
				a := &app{handler: func(_ http.ResponseWriter, r *http.Request) {
					close(begun)
					<-r.Context().Done()
				}}
				r := serving(t, a)
				r.given.listeners[0].call(t, "GET /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
				<-begun
				r.send(control.Drain{Timeout: time.Minute})
				synctest.Wait()
				began := time.Now()
				happens(r)
				checkCut(t, r, a, began, 0)
				for _, wrong := range []string{"requests told", "handlers still run"} {
					if strings.Contains(r.log.String(), wrong) {
						t.Errorf("in the log: %s\n%s", wrong, r.log)
					}
				}
			})
		})
	}
}

func checkCut(t *testing.T, r *rig, a *app, began time.Time, want time.Duration) {
	t.Helper()
	err := r.end()
	if err == nil || !strings.Contains(err.Error(), "1 requests and 1 connections were cut") {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took != want {
		t.Errorf("cut after %s, want %s", took, want)
	}
	if open(a.closed) {
		t.Error("the application was not closed")
	}
	r.logged("request cut by the drain limit")
	r.logged("method=GET path=/deaf")
}

// An event stream that minds its context is not cut: it says its last word, and the
// connection that it leaves behind, to which nobody said that it is the last, is not either.
func TestAStreamEndsByItsContextAndNothingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush() // the head: it promises to keep the connection
			<-r.Context().Done()
			<-time.After(time.Second)
			_, _ = fmt.Fprint(w, "last word: ", context.Cause(r.Context()))
		}})
		c := r.given.listeners[0].call(t, plain("/"))
		head := c.head()
		began := time.Now()
		r.send(control.Drain{Timeout: 30 * time.Second, Linger: 10 * time.Second})
		if got := c.rest(head); got != "last word: "+pool.ErrDraining.Error() {
			t.Errorf("the client got %q", got)
		}
		if err := r.end(); err != nil || time.Since(began) != 28*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// A body that is on its way is read to its end: its handler need not mind the context.
func TestAnUploadGoesOnAfterItWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s, %v, %v", body, err, context.Cause(r.Context()))
		}})
		c := r.given.listeners[0].call(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
		synctest.Wait()
		r.send(control.Drain{Timeout: 10 * time.Second})
		<-time.After(8 * time.Second)
		c.send("cd")
		if body := c.rest(c.head()); body != "abcd, <nil>, "+pool.ErrDraining.Error() {
			t.Errorf("answered %q", body)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}
