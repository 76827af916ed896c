package server_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// endless has two handlers without an end of their own: a websocket that does not listen to
// anybody, and a stream that ends when it is asked to.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/socket" {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // answered
		}
		defer ws.CloseNow()
		_, _, _ = ws.Read(r.Context())
		return
	}
	_, _ = io.WriteString(w, "begun\n")
	_ = http.NewResponseController(w).Flush()
	<-server.Draining(r.Context())
	_, _ = io.WriteString(w, "ended\n")
}

const endlessly = `
module = "endless"
processes = 1
threads = 2
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
upgrade-mercy = "10ms"
`

// A websocket that outstays its mercy is closed, and that is no failure: the exit code is 0,
// with and without a master.
func TestStubbornWebsocketsAreClosedByUpgradeMercy(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]string{"workers": "", "one process": "master = false\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toml := endlessly
			if mode != "" {
				toml = mode + strings.Replace(toml, "processes = 1\n", "", 1)
			}
			i := servertest.Launch(t, toml)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ws, _, err := websocket.Dial(ctx, "http://test/socket", &websocket.DialOptions{HTTPClient: i.HTTP("http")})
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			i.WaitFor("the websocket is counted and holds no slot", func(s stats.Snapshot) bool {
				w := s.Workers[0]
				return w.Upgraded == 1 && w.Upgrades == 1 && w.Status == stats.Idle
			})
			i.Signal(syscall.SIGTERM)
			if _, _, err := ws.Read(ctx); err == nil || ctx.Err() != nil {
				t.Errorf("the websocket was not closed: %v", err)
			}
			if err := i.Wait(); err != nil {
				t.Errorf("the server ended with %v\n%s", err, i.Log())
			}
			if log := i.Log(); !strings.Contains(log, "upgraded connections closed") || strings.Contains(log, "cut by the drain limit") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

// Nobody has to cut a stream that listens to Draining, whatever the protocol.
func TestStreamsEndWhenTheirWorkerDrains(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, endlessly)
	ends := make(chan string, 2)
	for name, rt := range map[string]http.RoundTripper{"http": i.HTTP("http").Transport, "uwsgi": i.UWSGI("uwsgi")} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://test/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		in := bufio.NewReader(res.Body)
		if text, err := in.ReadString('\n'); err != nil || text != "begun\n" {
			t.Fatalf("over %s: %q %v", name, text, err)
		}
		go func() {
			rest, _ := io.ReadAll(in)
			ends <- name + ": " + string(rest)
		}()
	}
	i.Signal(syscall.SIGTERM)
	for range 2 {
		if end := <-ends; !strings.HasSuffix(end, ": ended\n") {
			t.Errorf("over %q", end)
		}
	}
	if err := i.Wait(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, i.Log())
	}
}
