package pool

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
)

// wrapped is a writer as middleware makes it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestARequestIsChargedToItsApp(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ln := listen(t)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first":
			Charge(w, 0)
		case "/wrapped":
			Charge(wrapped{wrapped{w}}, 1)
		case "/panic":
			Charge(w, 1)
			panic("on purpose")
		case "/hijacked": // its slot is somebody else's by the time it panics
			Charge(w, 1)
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
			panic("on purpose")
		case "/too-long":
			Charge(w, 0)
			BodyRefused(w)
			http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		case "/no-such-app":
			Charge(w, 7)
		case "/file":
			Static(wrapped{w}, 0)
		}
	})
	for _, path := range []string{"/first", "/wrapped", "/panic", "/nobody", "/no-such-app", "/first", "/file", "/too-long"} {
		if _, _, err := dial(t, ln.Addr()).do("GET", path, ""); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, _, err := dial(t, ln.Addr()).do("GET", "/hijacked", ""); err == nil {
		t.Error("a connection that was hijacked and closed has answered")
	}
	if err := <-drainIn(p, patience, 0); err != nil {
		t.Error(err)
	}
	want := []stats.AppCounters{
		{Requests: 4, Status: [6]uint64{2: 3, 4: 1}, Rejects: stats.Rejects{scoreboard.RejectLimitPost - 1: 1}},
		{Requests: 3, Exceptions: 2, Status: [6]uint64{1: 1, 2: 1, 5: 1}},
		{Requests: 2, Status: [6]uint64{2: 2}},
	}
	got := p.opts.Page.AppCounters()
	for i := range got {
		got[i].Busy, got[i].Latency = 0, want[i].Latency // however long it took
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if total := p.opts.Page.Totals(); total.Static != 1 {
		t.Errorf("%d static requests, want 1", total.Static)
	}
}

func TestChargeLeavesOtherWritersAlone(t *testing.T) {
	BodyRefused(wrapped{httptest.NewRecorder()})
	Static(wrapped{httptest.NewRecorder()}, 0)
	Charge(wrapped{httptest.NewRecorder()}, 0) // no panic, no endless search
}
