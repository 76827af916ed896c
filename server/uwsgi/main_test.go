package uwsgi

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/worker/accept"
)

// plain serves on net's own listeners, as where package accept has none.
var plain = flag.Bool("plain", false, "serve without package accept")

var update = flag.Bool("update", false, "rewrite the .txt files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// lines collects what a server logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) log(msg string, kv ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, msg+" "+fmt.Sprintln(kv...))
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

// running is a server on a socket, shut down at the end of the test. Shutdown waits,
// so by then every log line has been written.
type running struct {
	*Server
	lines
	network, addr string
	served        chan error
}

var networks = []string{"tcp", "unix"}

// start serves h; change may adjust the server before it starts.
func start(t *testing.T, network string, h http.HandlerFunc, change ...func(*Server)) *running {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if !*plain {
		if l, err = accept.Listen(l); err != nil {
			t.Fatal(err)
		}
	}
	r := &running{Server: &Server{Handler: h}, network: network, addr: l.Addr().String(), served: make(chan error, 1)}
	r.ErrorLog = r.log
	for _, f := range change {
		f(r.Server)
	}
	go func() { r.served <- r.Serve(l) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) log(msg string, kv ...any) { r.lines.log(msg, kv...) }

func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
		r.Close()
	}
}

func (r *running) client() *Client { return &Client{Network: r.network, Addr: r.addr} }

func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial(r.network, r.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// get does a request and reads the whole answer.
func (r *running) do(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://example.com"+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		req.Body = nil
	}
	resp, err := r.client().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	return resp, string(b)
}

// packet encodes a request from pairs of name and value.
func packet(t testing.TB, modifier uint8, pairs ...string) []byte {
	t.Helper()
	r := &Request{Header: Header{Modifier1: modifier}}
	for i := 0; i < len(pairs); i += 2 {
		r.Vars.Add(pairs[i], pairs[i+1])
	}
	b, err := r.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// minimal is the least that makes a request, with pairs after it.
func minimal(pairs ...string) []string {
	return append([]string{"REQUEST_METHOD", "GET", "REQUEST_URI", "/", "SERVER_PROTOCOL", "HTTP/1.1"}, pairs...)
}
