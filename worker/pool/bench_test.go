package pool

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// blank is a ResponseWriter that costs nothing.
type blank struct{ header http.Header }

func (w *blank) Header() http.Header               { return w.header }
func (w *blank) WriteHeader(int)                   {}
func (w *blank) Write(b []byte) (int, error)       { return len(b), nil }
func (w *blank) WriteString(s string) (int, error) { return len(s), nil }

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

// The response handed to the application is the only allocation.
func TestHandlerAllocatesOnce(t *testing.T) {
	p := newPool(t, Options{Slots: 2})
	h := p.Handler(http.HandlerFunc(hello))
	w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/some/path", nil)
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n > 1 {
		t.Errorf("%.1f allocations for a request", n)
	}
}

// A new connection and its request: the conn, and the response.
func TestConnectionAllocatesOnce(t *testing.T) {
	p := newPool(t, Options{Slots: 2})
	g := &gate{pool: p, turn: newWaiter(waitGate)}
	h := p.Handler(http.HandlerFunc(hello))
	w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/some/path", nil)
	a, b := net.Pipe()
	a.Close()
	b.Close()
	ctx := context.Background()
	var request http.Request
	n := testing.AllocsPerRun(1000, func() {
		c := g.admit(a)
		request = *r.WithContext(p.ConnContext(ctx, c)) // one of its own
		h.ServeHTTP(w, &request)
		c.Close()
	})
	if n > 3 {
		t.Errorf("%.1f allocations for a connection with a request", n)
	}
	checkFree(t, p)
}

func BenchmarkHandler(b *testing.B) {
	p := newPool(b, Options{Slots: 64})
	h := p.Handler(http.HandlerFunc(hello))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/some/path", nil)
		for pb.Next() {
			h.ServeHTTP(w, r)
		}
	})
}

// The price of a limit that is not met.
func BenchmarkLimitedHandler(b *testing.B) {
	p := newPool(b, Options{Slots: 64})
	h := p.Handler(Limited(Limits{Limit: patience}, http.HandlerFunc(hello)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/some/path", nil)
		for pb.Next() {
			h.ServeHTTP(w, r)
		}
	})
}

// Every request takes the last slot and so calls the gate out of its Accept.
func BenchmarkHandlerShuttingAGate(b *testing.B) {
	p := newPool(b, Options{Slots: 1})
	ln := listen(b)
	gate := p.Gate(ln, GateOptions{Grace: grace})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = gate.Accept()
	}()
	h := p.Handler(http.HandlerFunc(hello))
	w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/some/path", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	gate.Close()
	<-done
}

// Keep-alive requests over loopback, as they are and through a pool: the difference is the
// pool's price.
func BenchmarkKeepAlive(b *testing.B) {
	serve := map[string]func(*http.Server, net.Listener) net.Listener{
		"net/http": func(s *http.Server, ln net.Listener) net.Listener { return ln },
		"pool": func(s *http.Server, ln net.Listener) net.Listener {
			p := newPool(b, Options{Slots: 64, SocketTimeout: patience})
			s.Handler, s.ConnContext, s.ConnState = p.Handler(s.Handler), p.ConnContext, p.ConnState
			return p.Gate(ln, GateOptions{Grace: grace})
		},
	}
	for _, name := range []string{"net/http", "pool"} {
		b.Run(name, func(b *testing.B) {
			ln := listen(b)
			srv := &http.Server{Handler: http.HandlerFunc(hello)}
			gate := serve[name](srv, ln)
			done := make(chan struct{})
			go func() { defer close(done); _ = srv.Serve(gate) }()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, ln.Addr())
				request := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				answer := make([]byte, 4096)
				for pb.Next() {
					if _, err := c.conn.Write(request); err != nil {
						b.Error(err)
						return
					}
					if _, err := c.conn.Read(answer); err != nil {
						b.Error(err)
						return
					}
				}
			})
			srv.Close()
			ln.Close()
			<-done
		})
	}
}
