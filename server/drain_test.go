package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// lasting is an application of requests that last longer than a reload.
func lasting() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/socket", socket)
	mux.HandleFunc("/sum", sum)
	mux.HandleFunc("/held", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		servertest.GateHandler(w, r)
	})
	mux.HandleFunc("/deaf", func(http.ResponseWriter, *http.Request) { select {} })
	return mux
}

// events is a stream with an event for each time that the test lets it through its gate. It
// says when it hears of the drain, and why it ends.
func events(w http.ResponseWriter, r *http.Request) {
	say := func(event ...any) {
		fmt.Fprintln(w, event...)
		_ = http.NewResponseController(w).Flush()
	}
	next := func() <-chan struct{} {
		through := make(chan struct{})
		go func() {
			servertest.GateHandler(httptest.NewRecorder(), r)
			close(through)
		}()
		return through
	}
	w.Header().Set("X-Accel-Buffering", "no")
	say("begun")
	draining, through := server.Draining(r.Context()), next()
	for {
		select {
		case <-through:
			say("event")
			through = next()
		case <-draining:
			say("draining")
			draining = nil
		case <-r.Context().Done():
			say("last:", context.Cause(r.Context()) == server.ErrDraining)
			return
		}
	}
}

// socket is a websocket that says goodbye when its worker drains.
func socket(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // answered
	}
	defer ws.CloseNow()
	ctx := ws.CloseRead(r.Context())
	<-server.Draining(r.Context())
	_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "draining, %v", r.Context().Err()))
	_ = ws.Close(websocket.StatusServiceRestart, "come again")
}

func sum(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	n, err := io.Copy(hash, r.Body)
	fmt.Fprintf(w, "%d %x %v by %d", n, hash.Sum(nil), err, os.Getpid())
}

// drained is an instance whose only worker is to be replaced, and every way that leads to it.
type drained struct {
	*servertest.Instance
	t    *testing.T
	gate *servertest.Gate
	ways map[string]*http.Client
	old  int // pid of the worker
}

func startDrained(t *testing.T, mercy string) *drained {
	t.Helper()
	i := servertest.Launch(t, fmt.Sprintf(`
module = "lasting"
processes = 1
threads = 16
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
worker-reload-mercy = %q
[env]
GATE = "$DIR/gate"
`, mercy))
	d := &drained{Instance: i, t: t, gate: servertest.NewGate(t, i.Dir), old: i.Stats().Workers[0].PID}
	d.ways = map[string]*http.Client{
		"http":           i.HTTP("http"),
		"http/2":         i.HTTP2("http", nil),
		"nginx by uwsgi": d.nginx("uwsgi_pass unix:%s/uwsgi; include /etc/nginx/uwsgi_params; uwsgi_request_buffering off;"),
		"nginx by http": d.nginx(`proxy_pass http://unix:%s/http; proxy_http_version 1.1; proxy_request_buffering off;
			proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $to_upstream;`),
	}
	return d
}

func (d *drained) nginx(pass string) *http.Client {
	d.t.Helper()
	port := servertest.Port(d.t)
	servertest.Nginx(d.t, port, fmt.Sprintf(`map $http_upgrade $to_upstream { default upgrade; "" ""; }
		server { listen 127.0.0.1:%d; client_max_body_size 0; location / { `+pass+` } }`, port, d.Dir))
	return d.HTTP(fmt.Sprintf("127.0.0.1:%d", port))
}

// reload returns when another worker serves, while the old one still has its requests.
func (d *drained) reload() {
	d.t.Helper()
	d.replace()
	if _, pid := get(d.t, d.HTTP("http").Transport, "http://test/pid"); pid == fmt.Sprint(d.old) {
		d.t.Fatal("nothing was replaced")
	}
	if !servertest.Alive(d.old) {
		d.t.Fatalf("the old worker did not wait for its requests\n%s", d.Log())
	}
}

func (d *drained) replace() {
	d.t.Helper()
	if out, code := d.Command("reload"); code != 0 {
		d.t.Fatalf("reload: %d %s\n%s", code, out, d.Log())
	}
}

// gone waits for the end of the worker and checks whether its requests had to be cut.
func (d *drained) gone(cut bool) {
	d.t.Helper()
	d.Until("the old worker is gone", func() bool { return !servertest.Alive(d.old) })
	if log := d.Log(); strings.Contains(log, "were cut") != cut {
		d.t.Errorf("something was cut: %v, want %v\n%s", !cut, cut, log)
	}
}

// told checks what the log says about requests whose contexts ended.
func (d *drained) told(n int) {
	d.t.Helper()
	if text := fmt.Sprintf("requests=%d left=", n); strings.Count(d.Log(), "requests told") != 1 || !strings.Contains(d.Log(), text) {
		d.t.Errorf("not in the log, or not once: %s\n%s", text, d.Log())
	}
}

// An event stream goes on while its worker drains. When the mercy is almost over its context
// ends, with a cause; it says a last word, and its client sees a proper end.
func TestEventStreamsEndInOrderWhenTheMercyIsOver(t *testing.T) {
	t.Parallel()
	d := startDrained(t, "15s")
	streams := map[string]*bufio.Reader{}
	for name, client := range d.ways {
		res, err := client.Get("http://test/events")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer res.Body.Close()
		streams[name] = bufio.NewReader(res.Body)
	}
	hear := func(event string) {
		t.Helper()
		for name, s := range streams {
			if got, err := s.ReadString('\n'); got != event+"\n" {
				t.Fatalf("%s: %q, %v, want %s\n%s", name, got, err, event, d.Log())
			}
		}
	}
	hear("begun")
	d.reload()
	hear("draining")
	d.Until("all streams wait for an event", func() bool { return d.gate.Inside() == len(streams) })
	for range streams {
		d.gate.Release()
	}
	hear("event")
	hear("last: true")
	for name, s := range streams {
		if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
			t.Errorf("%s: after the last event %q, %v", name, rest, err)
		}
	}
	d.gone(false)
	d.told(len(streams))
}

// A websocket hears of the drain at its beginning, can still speak, and its client reads that
// it may come again.
func TestWebsocketsSayGoodbyeAtAReload(t *testing.T) {
	t.Parallel()
	d := startDrained(t, "30s")
	delete(d.ways, "http/2")
	sockets := map[string]*websocket.Conn{}
	for name, client := range d.ways {
		ws, _, err := websocket.Dial(t.Context(), "http://test/socket", &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer ws.CloseNow()
		sockets[name] = ws
	}
	d.WaitFor("all are upgraded", func(s stats.Snapshot) bool { return int(s.Workers[0].Upgraded) == len(sockets) })
	d.replace()
	for name, ws := range sockets {
		if _, text, err := ws.Read(t.Context()); string(text) != "draining, <nil>" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("%s: the goodbye is %v, want 1012", name, err)
		}
	}
	d.gone(false)
	if strings.Contains(d.Log(), "mercy is over") {
		t.Errorf("a websocket was closed that had said goodbye:\n%s", d.Log())
	}
}

// An upload lasts until the connections that were idle when its worker was replaced are gone,
// and then until one is gone that went idle at that time: ten seconds.
func TestATenSecondUploadSurvivesAReload(t *testing.T) {
	t.Parallel()
	d := startDrained(t, "30s")
	const pieces = 4
	piece := make([]byte, 256<<10)
	_, _ = rand.Read(piece) // never fails
	uploads := map[string]*upload{}
	for name, client := range d.ways {
		uploads[name] = begin(t, client, pieces*len(piece))
	}
	send := func() {
		for name, u := range uploads {
			if err := u.send(piece); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, d.Log())
			}
		}
	}
	send()
	idle, working := d.Dial("http"), d.Dial("http")
	if status, _ := ask(t, idle, "GET /pid HTTP/1.1\r\nHost: test\r\n\r\n"); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	if _, err := io.WriteString(working, "GET /held HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	d.Until("everybody is at work", func() bool { return d.gate.Inside() == 1 && busy(d.Stats()) == len(uploads)+1 })
	d.reload()
	send()
	wantEnd(t, idle)
	send()
	d.gate.Open()
	wantEnd(t, working) // its head is from before the reload and did not say that it is the last
	send()
	want := fmt.Sprintf("%d %x <nil> by %d", pieces*len(piece), sha256.Sum256(bytes.Repeat(piece, pieces)), d.old)
	for name, u := range uploads {
		if got := u.end(); got != want {
			t.Errorf("%s: answered %q, want %q", name, got, want)
		}
	}
	d.gone(false)
}

// upload is a request whose body comes in pieces.
type upload struct {
	body   *io.PipeWriter
	answer chan string
}

// begin says how long the body is: over uwsgi it could not come in pieces otherwise.
func begin(t *testing.T, client *http.Client, length int) *upload {
	t.Helper()
	body, in := io.Pipe()
	r, err := http.NewRequest(http.MethodPost, "http://test/sum", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(length)
	u := &upload{in, make(chan string, 1)}
	go func() {
		res, err := client.Do(r)
		if err != nil {
			u.answer <- err.Error()
			body.CloseWithError(err) // nobody reads any more
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		u.answer <- string(b)
		body.CloseWithError(err)
	}()
	t.Cleanup(func() { in.Close() })
	return u
}

// send returns when the piece is on its way.
func (u *upload) send(piece []byte) error {
	_, err := u.body.Write(piece)
	return err
}

func (u *upload) end() string {
	u.body.Close()
	return <-u.answer
}

// A handler that minds nothing is cut when the mercy is over, and the log says which.
func TestWhatMindsNothingIsNamedAndCut(t *testing.T) {
	t.Parallel()
	d := startDrained(t, "5s")
	ends := make(chan string, len(d.ways))
	for name, client := range d.ways {
		go func() {
			res, err := client.Get("http://test/deaf?by=" + strings.ReplaceAll(name, " ", "-"))
			if err != nil {
				ends <- ""
				return
			}
			defer res.Body.Close()
			ends <- fmt.Sprintf("%s: %s", name, res.Status)
		}()
	}
	d.WaitFor("all run", func(s stats.Snapshot) bool { return busy(s) == len(d.ways) })
	d.replace()
	for range d.ways {
		if end := <-ends; end != "" && !strings.HasSuffix(end, ": 502 Bad Gateway") {
			t.Errorf("a client was answered: %s", end)
		}
	}
	d.gone(true)
	log := d.Log()
	cut := regexp.MustCompile(`request cut by the drain limit: .*method=GET path=/deaf peer=\S+ age=\S+s upgraded=false`)
	if n := len(cut.FindAllString(log, -1)); n != len(d.ways) {
		t.Errorf("%d requests are named in the log, %d were cut:\n%s", n, len(d.ways), log)
	}
	d.told(len(d.ways))
}
