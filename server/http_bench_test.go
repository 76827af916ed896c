package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/pool"
)

const benchRequest = "GET /some/path?q=1 HTTP/1.1\r\nHost: app.example\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n"

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })

// ourHTTP serves hello as a worker does, with all limits and counters and no access log.
func ourHTTP(tb testing.TB) string {
	page, file, err := scoreboard.Create(4, 1)
	if err != nil {
		tb.Fatal(err)
	}
	file.Close()
	cfg := config.Default()
	requests := pool.New(pool.Options{Page: page, SocketTimeout: 1 << 40})
	s, err := protocols{cfg: cfg, log: hclog.NewNullLogger()}.webServer(requests.Handler(newMounts(hello, 0, nil)), requests)
	if err != nil {
		tb.Fatal(err)
	}
	ln := listenFor(tb)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(requests.Gate(ln, pool.GateOptions{Grace: acceptGrace})) })
	tb.Cleanup(func() { s.Close(); serving.Wait(); requests.CloseConns() })
	return ln.Addr().String()
}

// plainHTTP serves hello by net/http alone, with the same timeouts.
func plainHTTP(tb testing.TB) string {
	cfg := config.Default()
	s := protocols{cfg: cfg, log: hclog.NewNullLogger()}.httpServer(hello, nil).Server
	s.ConnContext, s.ConnState = nil, nil
	ln := listenFor(tb)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln) })
	tb.Cleanup(func() { s.Close(); serving.Wait() })
	return ln.Addr().String()
}

func listenFor(tb testing.TB) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return ln
}

// asker gives a function that makes one request, on a connection that stays, and allocates
// nothing.
func asker(tb testing.TB, addr string) func() {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	request, br := []byte(benchRequest), bufio.NewReader(c)
	return func() {
		if _, err := c.Write(request); err != nil {
			tb.Fatal(err)
		}
		for line := []byte(nil); len(line) != 2; { // the empty line
			if line, err = br.ReadSlice('\n'); err != nil {
				tb.Fatal(err)
			}
		}
		if _, err := br.Discard(len("hello")); err != nil {
			tb.Fatal(err)
		}
	}
}

// What stands between net/http and the application allocates one thing for a request: its
// http.ResponseWriter. That a process has other goroutines makes the count uncertain by a
// fraction.
func TestRequestCostsOneAllocationMoreThanInNetHTTP(t *testing.T) {
	plain, ours := testing.AllocsPerRun(2000, asker(t, plainHTTP(t))), testing.AllocsPerRun(2000, asker(t, ourHTTP(t)))
	if ours > plain+1 {
		t.Errorf("%.0f allocations, net/http makes %.0f", ours, plain)
	}
}

func BenchmarkHTTP(b *testing.B) {
	for name, serve := range map[string]func(testing.TB) string{"net-http": plainHTTP, "ostler": ourHTTP} {
		b.Run(name, func(b *testing.B) {
			ask := asker(b, serve(b))
			ask()
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}
