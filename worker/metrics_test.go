package worker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

func TestTheMasterIsToldTheMetricsItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{handler: hello, slots: 1, metrics: func(ctx context.Context) ([]byte, bool, error) {
			if ends, ok := ctx.Deadline(); !ok || time.Until(ends) > 2*time.Second {
				t.Errorf("the collectors have until %v", ends)
			}
			return []byte("numbers"), true, nil
		}}
		r := serving(t, a)
		r.send(control.Gather{ID: 7, Timeout: 2 * time.Second})
		if m := expect[control.Metrics](r); m.ID != 7 || string(m.Data) != "numbers" || !m.Partial || m.More {
			t.Errorf("answer %+v", m)
		}
		r.send(control.Drain{Timeout: 10 * time.Second})
		expect[control.Metrics](r)
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestALongAnswerComesInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := bytes.Repeat([]byte("0123456789"), control.MaxFrame/4)
		r := serving(t, &app{handler: hello, slots: 1, metrics: func(context.Context) ([]byte, bool, error) { return long, false, nil }})
		r.send(control.Gather{ID: 1, Timeout: time.Second})
		var all control.Assembly
		parts := 0
		for done := false; !done; parts++ {
			m, complete, err := all.Add(expect[control.Metrics](r))
			if err != nil {
				t.Fatal(err)
			}
			if done = complete; done && !bytes.Equal(m.Data, long) {
				t.Errorf("%d bytes came, want %d", len(m.Data), len(long))
			}
		}
		if parts < 3 {
			t.Errorf("%d parts", parts)
		}
		r.send(control.Drain{Timeout: 10 * time.Second})
		for range parts { // its last words
			expect[control.Metrics](r)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// The life goes on while the collectors take their time: requests, reopening, drain.
func TestCollectorsThatTakeLongHoldNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reopened atomic.Int32
		asked := make(chan struct{}, 9)
		a := &app{handler: hello, slots: 1, reopen: func() error { reopened.Add(1); return nil },
			metrics: func(ctx context.Context) ([]byte, bool, error) {
				asked <- struct{}{}
				<-ctx.Done()
				return nil, true, errors.New("too slow")
			}}
		r := serving(t, a)
		began := time.Now()
		r.send(control.Gather{ID: 1, Timeout: time.Hour})
		<-asked
		r.send(control.Gather{ID: 2, Timeout: time.Second}) // given up on by the third
		r.send(control.Gather{ID: 3, Timeout: time.Second})
		r.send(control.Reopen{})
		if _, body, err := r.given.listeners[0].get("/"); body != "hello" {
			t.Errorf("request: %q, %v", body, err)
		}
		synctest.Wait()
		if reopened.Load() != 1 || time.Since(began) != 0 {
			t.Errorf("after %v the logs were reopened %d times", time.Since(began), reopened.Load())
		}
		if m := expect[control.Metrics](r); m.ID != 1 || time.Since(began) != longestGather {
			t.Errorf("%+v after %v", m, time.Since(began))
		}
		if m := expect[control.Metrics](r); m.ID != 3 {
			t.Errorf("%+v, want the newest question's answer", m)
		}
		began = time.Now()
		r.send(control.Drain{Timeout: 10 * time.Second})
		if m := expect[control.Metrics](r); m.ID != 0 || !m.Partial {
			t.Errorf("last words %+v", m)
		}
		if err := r.end(); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		r.logged("metrics of the application are incomplete")
		r.logged("too slow")
	})
}

// What is counted while the worker drains is in its last words, and those come before the
// application closes what its collectors may need.
func TestTheLastMetricsAreOfAfterTheLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		var a *app
		a = &app{slots: 1,
			handler: func(w http.ResponseWriter, _ *http.Request) { time.Sleep(5 * time.Second); served.Add(1) },
			metrics: func(context.Context) ([]byte, bool, error) {
				if !open(a.closed) {
					t.Error("the application is closed already")
				}
				return []byte{byte(served.Load())}, false, nil
			}}
		r := serving(t, a)
		done := make(chan struct{})
		go func() { defer close(done); _, _, _ = r.given.listeners[0].get("/") }()
		synctest.Wait()
		r.send(control.Drain{Timeout: 30 * time.Second})
		if m := expect[control.Metrics](r); m.ID != 0 || m.Data[0] != 1 {
			t.Errorf("last words %+v, want 1 request", m)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func TestMetricsThatPanicAreAnEmptyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello, slots: 1, metrics: func(context.Context) ([]byte, bool, error) { panic("nil registry") }})
		r.send(control.Gather{ID: 1, Timeout: time.Second})
		if m := expect[control.Metrics](r); len(m.Data) != 0 || !m.Partial {
			t.Errorf("answer %+v", m)
		}
		r.logged("nil registry")
		r.send(control.Drain{Timeout: 10 * time.Second})
		expect[control.Metrics](r)
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// An orphan has nobody to tell; it ends without a complaint about that.
func TestAnOrphanReportsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		r := serving(t, &app{handler: hello, slots: 1, metrics: func(context.Context) ([]byte, bool, error) { calls.Add(1); return nil, false, nil }})
		if err := r.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := r.end(); err != nil || calls.Load() != 0 {
			t.Errorf("%v, gathered %d times", err, calls.Load())
		}
	})
}
