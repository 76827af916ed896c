package parking

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/server/strict"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient bounds every wait of a test; no test needs it when it passes.
const patient = time.Minute

// site is a server as package server makes one: gate, strict, Lot, net/http, pool.
type site struct {
	*http.Server
	lot  *Lot
	pool *pool.Pool
	addr net.Addr
}

// ways runs a test with the watch of this system, and with the goroutines of every system.
func ways(t *testing.T, o Options, h http.HandlerFunc, test func(t *testing.T, s *site)) {
	t.Run("watched", func(t *testing.T) { test(t, serve(t, New(o), h)) })
	t.Run("goroutines", func(t *testing.T) {
		lot := New(o)
		lot.Rouse()
		test(t, serve(t, lot, h))
	})
}

func serve(t *testing.T, lot *Lot, h http.HandlerFunc, set ...func(*http.Server)) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, lot, h, set...)
}

func serveOn(t *testing.T, ln net.Listener, lot *Lot, h http.HandlerFunc, set ...func(*http.Server)) *site {
	t.Helper()
	page, file, err := scoreboard.Create(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	p := pool.New(pool.Options{Page: page, SocketTimeout: patient})
	srv := &http.Server{Handler: p.Handler(h), ConnContext: p.ConnContext, IdleTimeout: lot.opts.IdleTimeout, ReadHeaderTimeout: patient}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		strict.ConnState(c, state)
		ConnState(c, state)
		p.ConnState(c, state)
	}
	for _, f := range set {
		f(srv)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = srv.Serve(lot.Listener(strict.Listener(p.Gate(ln, pool.GateOptions{Grace: time.Second}), strict.Options{})))
	})
	serving.Go(func() { _ = srv.Serve(lot.Returning()) })
	serving.Go(func() {
		select {
		case <-p.Draining():
			lot.Rouse()
		case <-lot.Done():
		}
	})
	t.Cleanup(func() {
		ln.Close()
		srv.Close()
		lot.Close()
		serving.Wait()
		p.CloseConns()
		if n := lot.idle.Load(); n != 0 {
			t.Errorf("%d connections are idle in a server that has ended", n)
		}
	})
	return &site{srv, lot, p, ln.Addr()}
}

// await waits until n connections are parked.
func (s *site) await(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d connections are parked", n), func() bool { return s.lot.Parked() == n })
}

// until looks again and again, for things that nobody tells.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(patient)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (s *site) drain(linger time.Duration) <-chan error {
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		drained <- s.pool.Drain(ctx, linger)
	}()
	return drained
}

type client struct {
	net.Conn
	br *bufio.Reader
}

func (s *site) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patient))
	return &client{c, bufio.NewReader(c)}
}

const request = "GET /%s HTTP/1.1\r\nHost: test\r\n\r\n"

// get never repeats a request.
func (c *client) get(path string) (string, bool, error) {
	if _, err := fmt.Fprintf(c, request, path); err != nil {
		return "", false, err
	}
	return c.answer()
}

// answer gives the body, and whether it was the last one.
func (c *client) answer() (string, bool, error) {
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return "", false, err
	}
	b, err := io.ReadAll(res.Body)
	return string(b), res.Close, err
}

func (c *client) mustGet(t *testing.T, path, want string) {
	t.Helper()
	if got, _, err := c.get(path); got != want || err != nil {
		t.Fatalf("%s: %q, %v, want %q", path, got, err, want)
	}
}

// end waits for the server's end of the connection.
func (c *client) end(t *testing.T) {
	t.Helper()
	if b, err := c.br.ReadByte(); err != io.EOF {
		t.Errorf("%q, %v, want the end", b, err)
	}
}

func echo(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path[1:]) }
