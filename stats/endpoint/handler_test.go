package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed17661985/ostler/stats"
)

// here is an address of which nobody listens.
func here() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9191} }

func asked(t *testing.T, o Options, method, path string) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	newPages(o, here(), new(atomic.Uint64)).ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func ask(t *testing.T, method, path string) (*http.Response, string) {
	t.Helper()
	return asked(t, Options{Source: sample()}, method, path)
}

func TestTheDocumentIsServed(t *testing.T) {
	for _, path := range []string{"/", "/stats", "/stats?x=y"} {
		res, body := ask(t, http.MethodGet, path)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, res.Status)
		}
		if got := res.Header["Content-Type"]; !reflect.DeepEqual(got, []string{"application/json"}) {
			t.Errorf("%s: Content-Type %q, uwsgi_exporter takes exactly application/json", path, got)
		}
		if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
			t.Errorf("%s: Content-Length %s of a body of %d", path, got, len(body))
		}
		var s stats.Snapshot
		if err := json.Unmarshal([]byte(body), &s); err != nil || s.Workers[0].Requests != 21 || s.Build != "a\"b\n" {
			t.Errorf("%s: %v, %+v", path, err, s)
		}
	}
}

func TestTheWorkersAreServed(t *testing.T) {
	res, body := ask(t, http.MethodGet, "/workers")
	var workers []stats.Worker
	if err := json.Unmarshal([]byte(body), &workers); err != nil || len(workers) != 4 || workers[0].PID != 4711 {
		t.Errorf("%v, %+v", err, workers)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if _, body := asked(t, Options{Source: fixed{}}, http.MethodGet, "/workers"); body != "[]\n" {
		t.Errorf("without workers: %q", body)
	}
}

func TestOnlyReadingIsPossible(t *testing.T) {
	for _, path := range []string{"/", "/stats", "/metrics", "/healthz", "/readyz", "/workers", "/nothing"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "BREW"} {
			res, _ := ask(t, method, path)
			if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s, Allow %q", method, path, res.Status, res.Header.Get("Allow"))
			}
		}
	}
}

// Not even a redirect that repeats what was asked for.
func TestOtherPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/stats/", "//stats?secret=1", "/x/../stats", "/statsx", "/metrics/", "/debug/pprof/", "/index.html"} {
		res, body := ask(t, http.MethodGet, path)
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Location") != "" || strings.Contains(body, "secret") {
			t.Errorf("GET %s: %s, %v, %s", path, res.Status, res.Header, body)
		}
	}
}

func TestNoOtherPageMayReadIt(t *testing.T) {
	for _, path := range []string{"/", "/metrics", "/workers", "/healthz", "/readyz"} {
		res, _ := ask(t, http.MethodGet, path)
		for name := range res.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("GET %s sends %s", path, name)
			}
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s may be taken for a page", path)
		}
	}
}

func TestReadyMeansEveryWorker(t *testing.T) {
	for name, c := range map[string]struct {
		state                string
		ready, wanted, least int
		status               int
		says                 string
	}{
		"all accept":             {"serving", 1, 1, 1, 200, "serving: 1 of 1 workers accept requests\n"},
		"a reload beside them":   {"reloading", 1, 1, 1, 200, "reloading: 1 of 1 workers accept requests\n"},
		"one is missing":         {"serving", 1, 2, 2, 503, "serving: 1 of 2 workers accept requests\n"},
		"the load calls for one": {"serving", 1, 2, 1, 200, "serving: 1 of 2 workers accept requests\n"},
		"not started yet":        {"starting", 0, 0, 0, 503, "starting: 0 of 0 workers accept requests\n"},
		"all accept, but not it": {"starting", 1, 1, 1, 503, "starting: 1 of 1 workers accept requests\n"},
		"stopping":               {"stopping", 1, 1, 1, 503, "stopping: 1 of 1 workers accept requests\n"},
		"nobody left":            {"serving", 0, 0, 0, 503, "serving: 0 of 0 workers accept requests\n"},
	} {
		o := Options{Source: fixed{State: c.state, Ready: c.ready, Wanted: c.wanted, WantedLeast: c.least}}
		if res, body := asked(t, o, http.MethodGet, "/readyz"); res.StatusCode != c.status || body != c.says {
			t.Errorf("%s: %s, %q", name, res.Status, body)
		}
	}
}

func TestAliveIsWhatTheMasterSays(t *testing.T) {
	if res, body := ask(t, http.MethodGet, "/healthz"); res.StatusCode != http.StatusOK || body != "alive\n" {
		t.Errorf("nobody to ask: %s, %q", res.Status, body)
	}
	o := Options{Source: fixed{State: "stopping"}, Alive: func(context.Context) error { return nil }}
	if res, body := asked(t, o, http.MethodGet, "/healthz"); res.StatusCode != http.StatusOK || body != "alive\n" {
		t.Errorf("a master that stops is alive: %s, %q", res.Status, body)
	}
	o.Alive = func(context.Context) error { return errors.New("stuck") }
	if res, body := asked(t, o, http.MethodGet, "/healthz"); res.StatusCode != 503 || body != "the master does not react: stuck\n" {
		t.Errorf("it is stuck: %s, %q", res.Status, body)
	}
	o.Alive = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	if res, body := asked(t, o, http.MethodGet, "/healthz"); res.StatusCode != 503 || !strings.Contains(body, "deadline") {
		t.Errorf("it says nothing: %s, %q", res.Status, body)
	}
}
