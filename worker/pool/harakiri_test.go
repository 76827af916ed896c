package pool

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// allowance is how long a handler may run.
const allowance = time.Second

// told is what a pool says of requests under a limit, in order.
type told struct {
	looks chan Overrun
	stuck chan Request
}

// limitedPool has one slot, and limits what its handlers do.
func limitedPool(t *testing.T, h http.HandlerFunc) (*Pool, http.Handler, told) {
	said := told{make(chan Overrun, 16), make(chan Request, 16)}
	p := newPool(t, Options{
		Slots:     1,
		OnOverrun: func(o Overrun) { said.looks <- o },
		OnStuck:   func(r Request) { said.stuck <- r },
	})
	return p, p.Handler(Limited(Limits{Limit: allowance, Grace: allowance / 2}, h)), said
}

func get(path string) *http.Request { return httptest.NewRequest("GET", path, nil) }

func TestAHandlerOverItsLimitIsAnsweredFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause, wrote error
		p, h, said := limitedPool(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Secret", "half of what the handler had in mind")
			<-r.Context().Done()
			cause = context.Cause(r.Context())
			synctest.Wait() // the answer is out
			_, wrote = io.WriteString(w, "too late")
		})
		rec := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(rec, get("/slow?secret"))
		if rec.Code != http.StatusGatewayTimeout || rec.Body.String() != "Gateway Timeout\n" || rec.Header().Get("X-Secret") != "" || !rec.Flushed {
			t.Errorf("answered %d %q %v", rec.Code, rec.Body, rec.Header())
		}
		if took := time.Since(began); took != allowance || cause != ErrHarakiri || wrote != http.ErrHandlerTimeout {
			t.Errorf("after %v by %v, a later write says %v", took, cause, wrote)
		}
		for _, percent := range looks() {
			if o := <-said.looks; o.Percent != percent || o.Age != allowance/100*time.Duration(percent) || o.Path != "/slow" || o.Label() != "1" || o.Limit != allowance {
				t.Errorf("told %+v", o)
			}
		}
		time.Sleep(allowance) // fake time
		if n := p.opts.Page.AppCounters()[2]; len(said.stuck) > 0 || n.Rejects[scoreboard.RejectHarakiri-1] != 1 || n.Status[5] != 1 {
			t.Errorf("counted %+v, %d were called stuck", n, len(said.stuck))
		}
	})
}

// A handler that heeds the end of its context may be back before the limit has answered.
func TestAHandlerThatIsBackBeforeTheAnswerIsAnsweredFor(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			p, h, _ := limitedPool(t, func(w http.ResponseWriter, r *http.Request) {
				w.(*limitedWriter).mu.Lock() // the limit has to wait
				<-r.Context().Done()
				w.(*limitedWriter).mu.Unlock()
			})
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, get("/"))
			synctest.Wait()
			n := p.opts.Page.AppCounters()[2]
			if rec.Code != http.StatusGatewayTimeout || rec.Body.String() != "Gateway Timeout\n" || n.Status[5] != 1 || n.Rejects[scoreboard.RejectHarakiri-1] != 1 {
				t.Errorf("answered %d %q, counted %+v", rec.Code, rec.Body, n)
			}
		})
	}
}

// To tell of a look takes the time of its stacks, and the next may come meanwhile, also because
// the handler wants more time.
func TestLooksAreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int
		p := newPool(t, Options{Slots: 1, OnOverrun: func(o Overrun) {
			if o.Percent == 75 {
				time.Sleep(allowance) // fake time: the limit is over before it is told
			}
			order = append(order, o.Percent)
		}})
		h := p.Handler(Limited(Limits{Limit: allowance, Grace: allowance}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(allowance * 4 / 5) // the look at 75 % is being told
			if err := Extend(r.Context(), 0); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		})))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, get("/"))
		if want := looks(); !slices.Equal(order, want[:]) || rec.Code != http.StatusGatewayTimeout {
			t.Errorf("told %v, answered %d", order, rec.Code)
		}
	})
}

func TestAHandlerThatDoesNotReturnIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		p, h, said := limitedPool(t, func(http.ResponseWriter, *http.Request) { <-block })
		rec := httptest.NewRecorder()
		served := make(chan struct{})
		go func() { defer close(served); h.ServeHTTP(rec, get("/stuck")) }()
		if r := <-said.stuck; r.Path != "/stuck" || r.Slot != 0 || time.Since(r.Start) != allowance+allowance/2 {
			t.Errorf("told %+v after %v", r, time.Since(r.Start))
		}
		if err := <-drainIn(p, time.Hour, 0); err != ErrStuck {
			t.Errorf("the drain ends with %v", err)
		}
		for range 2 {
			p.AbandonStuck()
			if n := p.opts.Page.AppCounters()[2]; n.Requests != 1 || n.Status[5] != 1 {
				t.Errorf("counted as %+v", n)
			}
		}
		close(block)
		<-served
		if n := p.opts.Page.AppCounters()[2]; n.Requests != 1 {
			t.Errorf("counted again when it came back: %+v", n)
		}
		if rec.Code != http.StatusGatewayTimeout || p.stuck.len() != 0 || !p.empty() {
			t.Errorf("answered %d, %d are stuck", rec.Code, p.stuck.len())
		}
	})
}

// A drain waits for whoever still has time, and for whoever comes back.
func TestADrainWaitsForWhoIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, _ := limitedPool(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(allowance / 4) // fake time
		})
		go h.ServeHTTP(httptest.NewRecorder(), get("/slow"))
		synctest.Wait()
		began := time.Now()
		if err := <-drainIn(p, time.Hour, 0); err != nil || time.Since(began) != allowance+allowance/4 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestWhoWasQuickHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, said := limitedPool(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Mine", "1")
			if r.URL.Path == "/written" {
				_, _ = io.WriteString(w, "hello")
			}
		})
		for _, path := range []string{"/written", "/nothing"} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, get(path))
			if rec.Code != http.StatusOK || rec.Header().Get("X-Mine") != "1" {
				t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
			}
		}
		time.Sleep(2 * allowance) // fake time
		if len(said.looks)+len(said.stuck) > 0 {
			t.Error("somebody was looked at")
		}
	})
}

// What was begun is the handler's to end.
func TestAnAnswerThatHasBegunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, _ := limitedPool(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first, ")
			<-r.Context().Done()
			synctest.Wait()
			if _, err := io.WriteString(w, "and last"); err != nil {
				t.Error(err)
			}
		})
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, get("/"))
		if rec.Code != http.StatusOK || rec.Body.String() != "first, and last" {
			t.Errorf("%d %q", rec.Code, rec.Body)
		}
	})
}

func TestExtend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, said := limitedPool(t, func(_ http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context()) // a descendant will do
			defer cancel()
			time.Sleep(allowance * 9 / 10) // fake time, as all of this
			if err := Extend(ctx, 2*allowance); err != nil {
				t.Error(err)
			}
			if err := Extend(ctx, allowance); err != nil { // takes nothing away
				t.Error(err)
			}
			time.Sleep(allowance * 19 / 10)
			if r.Context().Err() != nil {
				t.Error("the time is over")
			}
			time.Sleep(allowance)
			if err := Extend(ctx, time.Hour); err != ErrHarakiri || context.Cause(ctx) != ErrHarakiri || !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("extended after the end: %v; the context ended by %v", err, context.Cause(ctx))
			}
		})
		h.ServeHTTP(httptest.NewRecorder(), get("/"))
		for _, percent := range looks() {
			if o := <-said.looks; o.Percent != percent || percent == 100 && (o.Age != o.Limit || o.Limit != allowance*29/10) {
				t.Errorf("told %+v", o)
			}
		}
	})
	if err := Extend(t.Context(), time.Second); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// wire is a recorder whose connection can be had.
type wire struct {
	*httptest.ResponseRecorder
	net.Conn
}

func (w wire) Write(b []byte) (int, error) { return w.ResponseRecorder.Write(b) }

func (w wire) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.Conn, nil, nil }

// A connection that was upgraded is no request any more.
func TestWhatIsHijackedHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		p, h, said := limitedPool(t, func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			time.Sleep(3 * allowance) // fake time
			if err := Extend(r.Context(), time.Hour); err != nil {
				t.Error(err)
			}
		})
		h.ServeHTTP(wire{httptest.NewRecorder(), theirs}, get("/"))
		if n := p.opts.Page.AppCounters()[2]; len(said.looks)+len(said.stuck) > 0 || n.Rejects.Total() > 0 || n.Status[1] != 1 {
			t.Errorf("%d looks, %d stuck, counted %+v", len(said.looks), len(said.stuck), n)
		}
	})
}

// The end of the request's own context is the end of what the handler sees.
func TestTheContextOfALimitedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		gone := errors.New("the client is gone")
		ctx, end := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
		kept := make(chan context.Context, 1)
		_, h, _ := limitedPool(t, func(_ http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if ctx.Value(key{}) != "kept" || ctx.Err() != nil {
				t.Errorf("value %v, error %v", ctx.Value(key{}), ctx.Err())
			}
			derived, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			if r.URL.Path == "/gone" {
				end(gone)
				<-derived.Done()
				if context.Cause(derived) != gone {
					t.Errorf("ended by %v", context.Cause(derived))
				}
			}
			kept <- ctx
		})
		h.ServeHTTP(httptest.NewRecorder(), get("/").WithContext(ctx))
		if kept := <-kept; kept.Err() == nil {
			t.Error("the context of a request goes on after it")
		}
		h.ServeHTTP(httptest.NewRecorder(), get("/gone").WithContext(ctx))
	})
}

func TestGoroutinesOfALimitedRequestAreLabelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		labelled := func() int {
			var profile strings.Builder
			if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
				t.Error(err)
			}
			return strings.Count(profile.String(), `labels: {"`+Label+`":"1"}`)
		}
		release := make(chan struct{})
		_, h, _ := limitedPool(t, func(http.ResponseWriter, *http.Request) {
			go func() { <-release }()
			synctest.Wait()
			if n := labelled(); n != 2 {
				t.Errorf("%d goroutines carry the label, want the handler's and its child's", n)
			}
		})
		h.ServeHTTP(httptest.NewRecorder(), get("/"))
		if n := labelled(); n != 1 {
			t.Errorf("%d goroutines carry the label, want the child's alone", n)
		}
		close(release)
	})
}

// Nor does a drain wait for its connection.
func TestADrainLeavesTheConnectionOfWhoIsStuck(t *testing.T) {
	release, stuck := make(chan struct{}), make(chan Request, 1)
	p := newPool(t, Options{Slots: 2, OnStuck: func(r Request) { stuck <- r }})
	ln := listen(t)
	serveHTTP(t, p, ln, Limited(Limits{Limit: time.Millisecond}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })).ServeHTTP)
	defer close(release)
	if res, _, err := dial(t, ln.Addr()).do("GET", "/", ""); err != nil || res.StatusCode != http.StatusGatewayTimeout {
		t.Fatal(res, err)
	}
	<-stuck
	if err := <-drainIn(p, patience, 0); err != ErrStuck {
		t.Errorf("the drain ends with %v", err)
	}
}

// net/http answers, though the body that the handler waits for, or never reads, is still on its way.
func TestTheLimitAnswersWhileABodyIsMissing(t *testing.T) {
	release := make(chan struct{})
	p := newPool(t, Options{Slots: 2})
	ln := listen(t)
	serveHTTP(t, p, ln, Limited(Limits{Limit: time.Millisecond, Grace: time.Hour}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/reads" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		<-release
	})).ServeHTTP)
	defer close(release)
	for _, path := range []string{"/ignores", "/reads"} {
		c := dial(t, ln.Addr())
		if _, err := io.WriteString(c.conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
			t.Fatal(err)
		}
		if res, body, err := c.receive("POST"); err != nil || res.StatusCode != http.StatusGatewayTimeout || !res.Close || body != "Gateway Timeout\n" {
			t.Errorf("%s: %v %q %v", path, res, body, err)
		}
	}
}
