package frontends

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// events is an application with server-sent events that the test triggers, one by
// one: /events/NAME is a stream, /next/NAME?e=TEXT sends its next event, and /gone/NAME
// answers when the stream's client is gone. State is in memory: one worker only.
type events struct {
	mu      sync.Mutex
	streams map[string]*feed
}

type feed struct {
	next  chan string
	ended chan struct{}
}

func newEvents() http.Handler { return &events{streams: map[string]*feed{}} }

func (e *events) feed(name string) *feed {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.streams[name] == nil {
		e.streams[name] = &feed{make(chan string), make(chan struct{})}
	}
	return e.streams[name]
}

func (e *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f := e.feed(name)
	switch kind {
	case "events":
		f.serve(w, r)
	case "next":
		select {
		case f.next <- r.URL.Query().Get("e"):
		case <-f.ended:
			w.WriteHeader(http.StatusGone)
		}
	case "gone":
		select {
		case <-f.ended:
		case <-r.Context().Done():
		}
	}
}

func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	defer close(f.ended)
	w.Header().Set("Content-Type", "text/event-stream")
	if r.URL.RawQuery == "accel" {
		w.Header().Set("X-Accel-Buffering", "no")
	}
	for event := "ready"; ; {
		_, err := fmt.Fprintf(w, "data: %s\n\n", event)
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		if err != nil {
			return
		}
		select {
		case event = <-f.next:
		case <-r.Context().Done():
			return
		}
	}
}

// Every event is seen by the client before the next one is sent: nothing on the way
// waits for more.
func TestEventsArriveOneByOne(t *testing.T) {
	i, s := startSite(t, "events")
	operator := i.HTTP(s.http)
	streaming := func(t testing.TB, s site) string {
		addr := address(t)
		servertest.Nginx(t, portOf(t, addr), "server { listen "+addr+";\n"+snippet(t, "streaming.conf", "/run/site.sock", s.unix)+"}")
		return "http://" + addr
	}
	lighttpdStreaming := func(t testing.TB, s site) string {
		addr := address(t)
		servertest.Lighttpd(t, portOf(t, addr), snippet(t, "lighttpd.conf", "/run/site.sock", s.unix)+"server.stream-response-body = 1\n")
		return "http://" + addr
	}
	for _, c := range []struct {
		name    string
		start   func(testing.TB, site) string
		query   string
		notices bool // the handler hears of the client's end before it writes again
	}{
		{"http", columns()[0].start, "", true},
		{"nginx without buffering", streaming, "", true},
		{"nginx told by the handler", startNginx, "?accel", true},
		{"nginx over http told by the handler", startNginxHTTP, "?accel", true},
		{"apache", startApache, "", false},
		{"lighttpd", lighttpdStreaming, "", false},
		{"uwsgi-http", startRouter, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(c.name, " ", "-")
			follow(t, operator, c.start(t, s)+"/events/"+name+c.query, name)
			if c.notices {
				ask(t, operator, "/gone/"+name)
				return
			}
			i.Until("the handler notices that nobody listens", func() bool {
				return ask(t, operator, "/next/"+name+"?e=x") == http.StatusGone
			})
		})
	}
}

// follow reads a stream event by event and leaves in the middle.
func follow(t *testing.T, operator *http.Client, url, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for n, want := range []string{"ready", "one", "two", "three"} {
		if n > 0 {
			ask(t, operator, "/next/"+name+"?e="+want)
		}
		if got, err := lines.ReadString('\n'); err != nil || got != "data: "+want+"\n" {
			t.Fatalf("event %q, %v, want %q", got, err, want)
		}
		if got, err := lines.ReadString('\n'); err != nil || got != "\n" {
			t.Fatalf("end of event %q, %v", got, err)
		}
	}
}

func ask(t *testing.T, c *http.Client, path string) int {
	t.Helper()
	resp, err := c.Get("http://operator" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
