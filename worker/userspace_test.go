package worker

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/worker/pool"
)

// instant is a connection whose request is there and whose answer is taken at once.
type instant struct {
	net.Conn
	addr    net.Addr
	request []byte
	read    bool
}

func (c *instant) TryRead(p []byte) (int, error) {
	if c.read {
		return 0, io.EOF
	}
	c.read = true
	return copy(p, c.request), nil
}

func (c *instant) TryWrite(p []byte) (int, error)    { return len(p), nil }
func (c *instant) TryWritev(v [][]byte) (int, error) { return len(v[0]) + len(v[1]), nil }
func (c *instant) Close() error                      { return nil }
func (c *instant) LocalAddr() net.Addr               { return c.addr }
func (c *instant) RemoteAddr() net.Addr              { return c.addr }
func (c *instant) SetReadDeadline(time.Time) error   { return nil }

// endless is a listener whose queue is never empty, until it is done.
type endless struct {
	left    int
	request []byte
	addr    net.Addr
}

func (l *endless) Accept() (net.Conn, error) {
	if l.left == 0 {
		return nil, net.ErrClosed
	}
	l.left--
	return &instant{addr: l.addr, request: l.request}, nil
}
func (l *endless) Close() error   { return nil }
func (l *endless) Addr() net.Addr { return l.addr }

// serveInstantly serves n requests with all of a worker but the kernel.
func serveInstantly(tb testing.TB, n int) {
	p := pool.New(pool.Options{Page: newPage(tb, 8)})
	h := &frugal{kind: []string{"text/plain"}, body: []byte("Hello, world\n")}
	srv := &uwsgi.Server{Handler: p.Handler(h), ConnContext: p.ConnContext, HeaderTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	l := &endless{left: n, request: plainRequest(), addr: &net.UnixAddr{Name: "@", Net: "unix"}}
	if b, ok := tb.(*testing.B); ok {
		b.ResetTimer()
	}
	if err := srv.Serve(p.Gate(l, pool.GateOptions{})); !errors.Is(err, uwsgi.ErrServerClosed) {
		tb.Error(err)
	}
	_ = srv.Close()
}

// The block, the connection thrice (ours, the pool's, the kernel's), the pool's response, and
// two maps of two pieces each: the request's header and the response's.
func TestARequestIsMadeOfNinePieces(t *testing.T) {
	const requests, most = 5000, 9.5 // what the server needs once is spread over all
	allowed := most
	if forgetful {
		allowed += 5 // three pooled buffers
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	serveInstantly(t, requests)
	runtime.ReadMemStats(&after)
	if n := float64(after.Mallocs-before.Mallocs) / requests; n > allowed {
		t.Errorf("%.2f allocations for a request and its connection, %.1f are allowed", n, allowed)
	}
}

// BenchmarkUWSGIWithoutKernel is what we add to the system calls of a request.
func BenchmarkUWSGIWithoutKernel(b *testing.B) {
	b.ReportAllocs()
	serveInstantly(b, b.N)
}
