package worker

import (
	"io"
	"net"
	"net/http"
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
	done    chan struct{}
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

// BenchmarkUWSGIWithoutKernel is what we add to the system calls of a request.
func BenchmarkUWSGIWithoutKernel(b *testing.B) {
	p := pool.New(pool.Options{Page: newPage(b, 8)})
	h := &frugal{kind: []string{"text/plain"}, body: []byte("Hello, world\n")}
	srv := &uwsgi.Server{Handler: p.Handler(http.HandlerFunc(h.ServeHTTP)), ConnContext: p.ConnContext, HeaderTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	l := &endless{left: b.N, request: plainRequest(), addr: &net.UnixAddr{Name: "@", Net: "unix"}}
	b.ReportAllocs()
	b.ResetTimer()
	_ = srv.Serve(p.Gate(l, pool.GateOptions{}))
}
