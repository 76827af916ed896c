package uwsgi

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crewSize counts the goroutines that serve or stand by, of all servers there are.
func crewSize(t *testing.T) int {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
		t.Fatal(err)
	}
	return strings.Count(b.String(), "uwsgi.(*crew).work(")
}

func TestFewStandByAfterABurst(t *testing.T) {
	const burst = 5 * idleMost
	var inside sync.WaitGroup
	inside.Add(burst)
	release := make(chan bool)
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		inside.Done()
		<-release
	})
	var conns []net.Conn
	for range burst {
		c := r.dial(t)
		c.Write(packet(t, 0, minimal()...))
		conns = append(conns, c)
	}
	inside.Wait() // each in a goroutine of its own, though one after the other was called
	if n := crewSize(t); n < burst {
		t.Fatalf("%d goroutines for %d handlers", n, burst)
	}
	close(release)
	for _, c := range conns {
		if _, err := io.ReadAll(c); err != nil {
			t.Error(err)
		}
	}
	const most = idleMost + 1 + 1 // who leads, and who is on the way
	for end := time.Now().Add(patience); crewSize(t) > most; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines stand by", crewSize(t))
		}
	}
}

// A handler that ends its goroutine takes nobody else with it.
func TestCrewOutlivesGoexit(t *testing.T) {
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exit" {
			runtime.Goexit()
		}
	})
	for range 2 * idleMost {
		c := r.dial(t)
		c.Write(packet(t, 0, "REQUEST_METHOD", "GET", "REQUEST_URI", "/exit", "SERVER_PROTOCOL", "HTTP/1.1"))
		_, _ = io.ReadAll(c)
		if resp, _ := r.do(t, "GET", "/", ""); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
}

// counted is a prompt connection that counts what is asked of it.
type counted struct {
	net.Conn
	reads, writes, writevs, waits atomic.Int32
}

func (c *counted) TryRead(p []byte) (int, error) { c.reads.Add(1); return c.Conn.Read(p) }

func (c *counted) TryWrite(p []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(p) }

func (c *counted) TryWritev(v [][]byte) (int, error) {
	c.writevs.Add(1)
	return c.Conn.Write(bytes.Join(v, nil))
}

func (c *counted) Read(p []byte) (int, error) { c.waits.Add(1); return c.Conn.Read(p) }

func (c *counted) Write(p []byte) (int, error) { c.waits.Add(1); return c.Conn.Write(p) }

func (c *counted) SetReadDeadline(t time.Time) error {
	c.waits.Add(1)
	return c.Conn.SetReadDeadline(t)
}

func (c *counted) SetWriteDeadline(t time.Time) error {
	c.waits.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// once is a listener with one connection.
type once struct {
	conns chan net.Conn
	gone  chan bool
	close sync.Once
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *once) Close() error   { l.close.Do(func() { close(l.gone) }); return nil }
func (l *once) Addr() net.Addr { return &net.UnixAddr{Name: "once", Net: "unix"} }

// What a request that is there at once asks of its connection: one read, one write, no
// deadline.
func TestAPromptRequestIsOneReadAndOneWrite(t *testing.T) {
	for name, test := range map[string]struct {
		body            int
		writes, writevs int32
	}{
		"small":           {13, 1, 0},
		"fits the buffer": {bodyBuffer, 1, 0},
		"larger":          {64 << 10, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			c := &counted{Conn: server}
			l := &once{conns: make(chan net.Conn, 1), gone: make(chan bool)}
			l.conns <- c
			body := bytes.Repeat([]byte("x"), test.body)
			s := &Server{HeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) })}
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			_, _ = client.Write(packet(t, 0, minimal()...))
			got, err := io.ReadAll(client)
			if err != nil || !bytes.HasSuffix(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if r, w, v, waits := c.reads.Load(), c.writes.Load(), c.writevs.Load(), c.waits.Load(); r != 1 || w != test.writes || v != test.writevs || waits != 0 {
				t.Errorf("%d reads, %d writes, %d writevs, %d calls that may wait", r, w, v, waits)
			}
			_ = s.Close()
			<-served
		})
	}
}

// A connection that was given away is not the server's, however its handler ends.
func TestGoexitLeavesAHijackedConnectionAlone(t *testing.T) {
	for _, network := range networks {
		hijacked, release := make(chan bool), make(chan bool)
		r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
			defer close(hijacked)
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				<-release
				_, _ = nc.Write([]byte("still here"))
				_ = nc.Close()
			}()
			runtime.Goexit()
		})
		c := r.dial(t)
		c.Write(packet(t, 0, minimal()...))
		<-hijacked
		r.stop(t) // returns when the server has forgotten the connection
		close(release)
		if got, err := io.ReadAll(c); string(got) != "still here" || err != nil {
			t.Errorf("%s: read %q, %v", network, got, err)
		}
	}
}

// The answer in place of one that never came must not be overtaken by a reset.
func TestGoexitIsAnswered(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() })
	c := r.dial(t)
	c.Write(packet(t, 0, minimal()...))
	if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 500") || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}
