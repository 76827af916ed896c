package worker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

func TestLifeUnderAMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, finish := make(chan struct{}), make(chan struct{})
		a := &app{}
		a.handler = func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-finish
			if !open(a.closed) {
				t.Error("closed while a request was running")
			}
			io.WriteString(w, "hello")
		}
		r := start(t, a.build)
		synctest.Wait()
		r.send(setupOfTests)
		expect[control.Ready](r)
		synctest.Wait()
		if r.state() != Serving {
			t.Errorf("ready, but %s", r.state())
		}
		if r.given.sockets != 2 {
			t.Errorf("the executable was looked for after %d sockets", r.given.sockets)
		}
		answered := make(chan string, 1)
		go func() {
			_, body, err := r.given.listeners[1].get("/")
			if err != nil {
				t.Error(err)
			}
			answered <- body
		}()
		<-begun
		if a.ctx.Err() != nil {
			t.Error("the application was told to stop too early")
		}
		r.send(control.Drain{Timeout: time.Minute, Linger: time.Second})
		<-a.ctx.Done() // at the beginning of the drain
		synctest.Wait()
		if r.state() != Draining {
			t.Errorf("draining, but %s", r.state())
		}
		time.Sleep(10 * time.Second)
		close(finish)
		if body := <-answered; body != "hello" {
			t.Errorf("answered %q", body)
		}
		if err := r.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if r.state() != Done || open(a.closed) {
			t.Errorf("ended %s, closed %v", r.state(), !open(a.closed))
		}
	})
}

func TestWhatGoesWrongReachesTheMaster(t *testing.T) {
	fine := (&app{handler: hello}).build
	tests := map[string]struct {
		build BuildFunc
		given func(*fakeInheritance)
		stage string
		words []string
	}{
		"build error": {build: func(context.Context, control.Setup) (Service, error) {
			return Service{}, errors.New("dial the database: connection refused")
		}, stage: "build", words: []string{"dial the database: connection refused"}},
		"build panic": {build: func(context.Context, control.Setup) (Service, error) {
			panic("no such template")
		}, stage: "build", words: []string{"panic: no such template", "TestWhatGoesWrong"}},
		"build goexit": {build: func(context.Context, control.Setup) (Service, error) {
			runtime.Goexit()
			return Service{}, nil
		}, stage: "build", words: []string{"Goexit"}},
		"no handler": {build: func(context.Context, control.Setup) (Service, error) {
			return Service{NewServer: newHTTPServer}, nil
		}, stage: "build", words: []string{"without a handler"}},
		"no server": {build: func(ctx context.Context, s control.Setup) (Service, error) {
			return Service{Handler: http.NotFoundHandler(), NewServer: func(s control.Socket, _ http.Handler, _ *pool.Pool) (Server, pool.GateOptions, error) {
				return nil, pool.GateOptions{}, errors.New("protocol unknown")
			}}, nil
		}, stage: "serve", words: []string{"http socket web", "protocol unknown"}},
		"too many slots": {build: (&app{handler: hello, slots: 5}).build, stage: "serve", words: []string{"5 slots", "has 4"}},
		"scoreboard": {build: fine, given: func(f *fakeInheritance) { f.page, f.pageErr = nil, errBroken },
			stage: "setup", words: []string{"broken"}},
		"listener": {build: fine, given: func(f *fakeInheritance) { f.listenErr = errBroken },
			stage: "setup", words: []string{"broken"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, test.build)
				if test.given != nil {
					test.given(r.given)
				}
				r.send(setupOfTests)
				failed := expect[control.Failed](r)
				err := r.end()
				if failed.Stage != test.stage || err == nil {
					t.Errorf("stage %q, Run: %v", failed.Stage, err)
				}
				for _, words := range test.words {
					if !strings.Contains(failed.Err, words) {
						t.Errorf("the master was not told %q but %q", words, failed.Err)
					}
					if !strings.Contains(err.Error(), words) {
						t.Errorf("Run did not say %q but %q", words, err)
					}
				}
				if open(r.given.listeners[0].closed) && test.given == nil {
					t.Error("a listener is open")
				}
			})
		})
	}
}

func TestWorkerWithoutAMasterDrainsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		a := &app{handler: func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			time.Sleep(10 * time.Second)
			io.WriteString(w, "done")
		}}
		r := serving(t, a)
		answered := make(chan string, 1)
		go func() {
			_, body, _ := r.given.listeners[0].get("/")
			answered <- body
		}()
		<-begun
		r.conn.Close()
		if body := <-answered; body != "done" {
			t.Errorf("the running request got %q", body)
		}
		if err := r.end(); err != nil || open(a.closed) {
			t.Errorf("Run: %v, closed %v", err, !open(a.closed))
		}
		r.logged("master is gone")
	})
}

func TestOrphanIsGoneWithinItsMercy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		a := &app{handler: func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			untilCut(w)
		}}
		r := serving(t, a)
		r.given.listeners[0].call(t, plain("/stuck?token=secret"))
		<-begun
		gone := time.Now()
		r.conn.Close()
		if err := r.end(); err == nil {
			t.Error("a cut request was not reported")
		}
		if took := time.Since(gone); took > setupOfTests.Mercy {
			t.Errorf("gone after %s", took)
		}
		r.logged("request cut by the drain limit")
		r.logged("path=/stuck")
		if strings.Contains(r.log.String(), "secret") {
			t.Error("the query is in the log")
		}
		if open(a.closed) {
			t.Error("the application was not closed")
		}
	})
}

func TestEndBeforeTheSetup(t *testing.T) {
	ends := map[string]func(*rig){
		"the master goes": func(r *rig) { r.conn.Close() },
		"drain":           func(r *rig) { r.send(control.Drain{}) },
		"context":         func(r *rig) { r.stop() },
		"SIGTERM":         func(r *rig) { r.signals <- syscall.SIGTERM },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(context.Context, control.Setup) (Service, error) {
					t.Error("built")
					return Service{}, errBroken
				})
				end(r)
				if err := r.end(); err == nil {
					t.Error("Run: nil")
				}
			})
		})
	}
}

func TestStopWhileBooting(t *testing.T) {
	ends := map[string]func(*rig){
		"the master goes": func(r *rig) { r.conn.Close() },
		"drain":           func(r *rig) { r.send(control.Drain{Timeout: 20 * time.Second}) },
		"context":         func(r *rig) { r.stop() },
		"SIGTERM twice":   func(r *rig) { r.signals <- syscall.SIGTERM; r.signals <- syscall.SIGTERM },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &app{handler: hello}
				r := start(t, func(ctx context.Context, s control.Setup) (Service, error) {
					<-ctx.Done()
					return a.build(ctx, s) // it had come so far that it finished
				})
				r.send(setupOfTests)
				synctest.Wait()
				end(r)
				if err := r.end(); err != nil {
					t.Errorf("Run: %v", err)
				}
				if open(a.closed) || r.state() != Done {
					t.Errorf("closed %v, %s", !open(a.closed), r.state())
				}
			})
		})
	}
}

func TestBuildThatDoesNotListenIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := start(t, func(context.Context, control.Setup) (Service, error) {
			<-release
			return Service{}, errBroken
		})
		r.send(setupOfTests)
		synctest.Wait()
		began := time.Now()
		r.send(control.Drain{Timeout: 5 * time.Second})
		expect[control.Failed](r)
		if err := r.end(); err == nil || time.Since(began) != 5*time.Second-reserve(5*time.Second) {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		close(release)
	})
}

func TestHeartBeatsInEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{handler: func(w http.ResponseWriter, r *http.Request) { time.Sleep(15 * time.Second) }}
		r := start(t, func(ctx context.Context, s control.Setup) (Service, error) {
			time.Sleep(15 * time.Second)
			return a.build(ctx, s)
		})
		r.send(setupOfTests)
		alive := func(want State) {
			t.Helper()
			time.Sleep(10*time.Second + heartbeat/2)
			if r.state() != want {
				t.Errorf("%s, want %s", r.state(), want)
			}
			if age := time.Since(r.given.page.Heartbeat()); age > heartbeat {
				t.Errorf("%s: the last beat is %s old", want, age)
			}
		}
		alive(Booting)
		expect[control.Ready](r)
		alive(Serving)
		go r.given.listeners[0].get("/")
		synctest.Wait()
		r.send(control.Drain{Timeout: time.Minute})
		alive(Draining)
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestPanicOfAHandlerIsLoggedWithItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: func(http.ResponseWriter, *http.Request) { panic("deliberate") }})
		if status, _, err := r.given.listeners[0].get("/boom?secret"); status != 500 {
			t.Errorf("%d %v", status, err)
		}
		synctest.Wait()
		for _, text := range []string{"handler panicked", "slot=2", "gen=7", "path=/boom", "panic=deliberate", "TestPanicOfAHandler"} {
			r.logged(text)
		}
		r.conn.Close()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if n := r.given.page.Totals().Exceptions; n != 1 {
			t.Errorf("%d exceptions", n)
		}
	})
}
