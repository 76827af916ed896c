package worker

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// TestAStopDuringAReloadsDrainDoesNotWaitForTheLinger: what a reload is kind to, a
// connection that may be used again, is only a delay to a stop.
func TestAStopDuringAReloadsDrainDoesNotWaitForTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		ours, theirs := net.Pipe()
		defer ours.Close()
		r.given.listeners[0].queue <- theirs
		if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(ours)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		r.send(control.Drain{Timeout: time.Minute, Linger: 30 * time.Second})
		synctest.Wait()
		began := time.Now()
		r.send(control.Drain{Timeout: time.Minute})
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("the idle connection: %v", err)
		}
		ours.Close()
		if err := r.end(); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// lagging is an app whose handler hears of nothing but the cut of its request, if nobody
// reads its answer, and then needs a moment to end.
func lagging(lag time.Duration) (a *app, begun chan struct{}, running *atomic.Bool) {
	begun, running = make(chan struct{}), &atomic.Bool{}
	return &app{handler: func(w http.ResponseWriter, r *http.Request) {
		running.Store(true)
		defer running.Store(false)
		close(begun)
		untilCut(w)
		<-time.After(lag)
	}}, begun, running
}

func TestTheApplicationIsClosedAfterTheHandlersThatWereCut(t *testing.T) {
	for name, ask := range map[string]control.Drain{"in order": {Timeout: 10 * time.Second}, "at once": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, begun, running := lagging(cutMercy - time.Millisecond)
				var logged atomic.Bool // as the access log would
				a.close = func() error {
					if running.Load() || !logged.Load() {
						t.Errorf("closed while a handler runs (%v), its request logged: %v", running.Load(), logged.Load())
					}
					return nil
				}
				r := start(t, func(ctx context.Context, s control.Setup) (Service, error) {
					service, err := a.build(ctx, s)
					service.Pool.OnDone = func(*http.Request, pool.Result) { logged.Store(true) }
					return service, err
				})
				r.send(setupOfTests)
				expect[control.Ready](r)
				r.given.listeners[0].call(t, plain("/"))
				<-begun
				began := time.Now()
				r.send(ask)
				if err := r.end(); err == nil {
					t.Error("a cut request was not reported")
				}
				if took := time.Since(began); took > ask.Timeout+cutMercy {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestAHandlerThatIgnoresTheCutIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, begun, _ := lagging(time.Hour)
		r := serving(t, a)
		r.given.listeners[0].call(t, plain("/"))
		<-begun
		began := time.Now()
		r.send(control.Drain{Timeout: 10 * time.Second})
		if err := r.end(); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		r.logged("handlers still run while the application is closed")
		if open(a.closed) {
			t.Error("the application was not closed")
		}
		<-time.After(time.Hour) // the handler has to be gone when the test is
	})
}

// TestWhatIsAbandonedEndsInItsMercy: New comes back late, and then Close hangs.
func TestWhatIsAbandonedEndsInItsMercy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		a := &app{handler: hello, close: func() error { <-hang; return nil }}
		r := start(t, func(ctx context.Context, s control.Setup) (Service, error) {
			<-time.After(4 * time.Second)
			return a.build(ctx, s)
		})
		r.send(setupOfTests)
		synctest.Wait()
		began := time.Now()
		r.send(control.Drain{Timeout: 5 * time.Second})
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "did not return in time") {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %s of 5s", took)
		}
		close(hang)
	})
}

func TestASuccessorIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		r.given.listeners[0].broken <- errBroken
		expect[control.Retire](r)
		r.given.listeners[1].broken <- errBroken
		r.signals <- syscall.SIGTERM
		synctest.Wait()
		select {
		case m := <-r.said:
			t.Errorf("the worker said %T again: %+v", m, m)
		default:
		}
		r.stop()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}
