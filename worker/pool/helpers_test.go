package pool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test on real sockets; no test needs it when it passes.
const patience = time.Minute

// grace is what http listeners get.
const grace = 10 * time.Millisecond

func newPage(t testing.TB, slots int) *scoreboard.Page {
	t.Helper()
	page, f, err := scoreboard.Create(slots, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return page
}

func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	if o.Page == nil {
		o.Page = newPage(t, max(o.Slots, 1))
	}
	return New(o)
}

// listen gives a TCP listener on a free port of loopback.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// serveHTTP serves h on ln, through a gate, until the test ends.
func serveHTTP(t testing.TB, p *Pool, ln net.Listener, h http.HandlerFunc) {
	t.Helper()
	serveBy(t, p, &http.Server{}, ln, h)
}

// serveBy is serveHTTP with a server that has settings.
func serveBy(t testing.TB, p *Pool, srv *http.Server, ln net.Listener, h http.HandlerFunc) {
	t.Helper()
	srv.Handler, srv.ConnContext, srv.ConnState = p.Handler(h), p.ConnContext, p.ConnState
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(p.Gate(ln, GateOptions{Grace: grace})); !errors.Is(err, net.ErrClosed) && err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ln.Close()
		srv.Close()
		p.CloseConns()
		serving.Wait()
	})
}

// serveToy serves h with a protocol of one request per connection: a line with the path,
// answered by the body.
func serveToy(t testing.TB, p *Pool, ln net.Listener, h http.HandlerFunc) {
	t.Helper()
	gate := p.Gate(ln, GateOptions{})
	handler := p.Handler(h)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := gate.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serveToyConn(p, handler, c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.CloseConns()
		serving.Wait()
	})
}

func serveToyConn(p *Pool, h http.Handler, c net.Conn) {
	defer c.Close()
	defer func() { _ = recover() }() // http.ErrAbortHandler, as a server does
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	r, err := http.NewRequestWithContext(p.ConnContext(context.Background(), c), "GET", strings.TrimSpace(line), nil)
	if err != nil {
		return
	}
	h.ServeHTTP(&toyWriter{conn: c, header: http.Header{}}, r)
}

type toyWriter struct {
	conn   net.Conn
	header http.Header
}

func (w *toyWriter) Header() http.Header         { return w.header }
func (w *toyWriter) WriteHeader(int)             {}
func (w *toyWriter) Write(b []byte) (int, error) { return w.conn.Write(b) }

// toyGet makes one request of the toy protocol.
func toyGet(addr, path string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(c, path); err != nil {
		return "", err
	}
	body, err := io.ReadAll(c)
	if err == nil && len(body) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return string(body), err
}

// client is an HTTP/1.1 client on one connection, which never retries anything.
type client struct {
	conn net.Conn
	br   *bufio.Reader
}

func newClient(c net.Conn) *client {
	return &client{conn: c, br: bufio.NewReader(c)}
}

func dial(t testing.TB, addr net.Addr) *client {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return newClient(c)
}

func (c *client) send(method, path, body string) error {
	_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	return err
}

// receive reads a whole response.
func (c *client) receive(method string) (*http.Response, string, error) {
	res, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func (c *client) do(method, path, body string) (*http.Response, string, error) {
	if err := c.send(method, path, body); err != nil {
		return nil, "", err
	}
	return c.receive(method)
}

func (c *client) mustGet(t testing.TB, path string) (*http.Response, string) {
	t.Helper()
	res, body, err := c.do("GET", path, "")
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return res, body
}

// peak watches how many are inside at once.
type peak struct{ now, max atomic.Int64 }

func (p *peak) enter() {
	n := p.now.Add(1)
	for {
		m := p.max.Load()
		if n <= m || p.max.CompareAndSwap(m, n) {
			return
		}
	}
}

func (p *peak) leave() { p.now.Add(-1) }

// memListener is a listener in memory, for fake time: its Accept is a channel receive.
type memListener struct {
	queue    chan net.Conn // the backlog
	accepted atomic.Int64

	mu       sync.Mutex
	deadline time.Time
	moved    chan struct{} // closed when the deadline changes
	closed   chan struct{}
}

func newMemListener() *memListener {
	return &memListener{queue: make(chan net.Conn, 128), moved: make(chan struct{}), closed: make(chan struct{})}
}

func (l *memListener) dial(t testing.TB) *client {
	ours, theirs := net.Pipe()
	l.queue <- theirs
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return newClient(ours)
}

func (l *memListener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	close(l.moved)
	l.moved = make(chan struct{})
	return nil
}

func (l *memListener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		deadline, moved := l.deadline, l.moved
		l.mu.Unlock()
		var due <-chan time.Time
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return nil, os.ErrDeadlineExceeded
			}
			due = time.After(left)
		}
		select {
		case c := <-l.queue:
			l.accepted.Add(1)
			return c, nil
		default:
		}
		select {
		case c := <-l.queue:
			l.accepted.Add(1)
			return c, nil
		case <-l.closed:
			return nil, net.ErrClosed
		case <-due:
			return nil, os.ErrDeadlineExceeded
		case <-moved:
		}
	}
}

func (l *memListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
