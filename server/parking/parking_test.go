package parking

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soon parks at the first occasion.
func soon() Options { return Options{IdleTimeout: patient, Patience: time.Nanosecond} }

func TestParkedConnectionIsServedAgain(t *testing.T) {
	who := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr, r.URL.Path) }
	ways(t, soon(), who, func(t *testing.T, s *site) {
		c := s.dial(t)
		for n := range 5 {
			path := strconv.Itoa(n)
			c.mustGet(t, path, c.LocalAddr().String()+"/"+path)
			s.await(t, 1)
		}
	})
}

// A request that is on its way while its connection is being parked is found wherever it is:
// clients send the next one at once, in pieces of every size.
func TestNoRequestIsLostInTheMomentOfParking(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		var clients sync.WaitGroup
		for n := range 16 {
			c := s.dial(t)
			clients.Go(func() {
				for i := range 300 {
					path := strconv.Itoa(n*1000 + i)
					head := fmt.Sprintf(request, path)
					cut := i % len(head)
					for _, piece := range []string{head[:cut], head[cut:]} {
						if _, err := io.WriteString(c, piece); err != nil {
							t.Error(err)
							return
						}
					}
					if got, _, err := c.answer(); got != path || err != nil {
						t.Errorf("%q, %v, want %q", got, err, path)
						return
					}
				}
			})
		}
		clients.Wait()
	})
}

func TestPipelinedRequestsAreAllServed(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		c := s.dial(t)
		c.mustGet(t, "first", "first")
		s.await(t, 1)
		fmt.Fprintf(c, request+request+request, "a", "b", "c")
		for _, want := range []string{"a", "b", "c"} {
			if got, _, err := c.answer(); got != want || err != nil {
				t.Fatalf("%q, %v, want %q", got, err, want)
			}
		}
		s.await(t, 1)
	})
}

// net/http looks at the connection while a handler runs, and may have taken the first byte of
// the next request when it says that the connection is idle.
func TestConnectionWithTheBeginningOfARequestIsNotParked(t *testing.T) {
	taken, release := make(chan struct{}), make(chan struct{})
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(taken)
			<-release
		}
		echo(w, r)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bytes := make(chan struct{}, 1)
	s := serveOn(t, listening{ln, bytes}, New(soon()), h)
	c := s.dial(t)
	fmt.Fprintf(c, request, "slow")
	<-taken
	if _, err := io.WriteString(c, "G"); err != nil {
		t.Fatal(err)
	}
	<-bytes // it was read
	close(release)
	if got, _, err := c.answer(); got != "slow" || err != nil {
		t.Fatal(got, err)
	}
	if _, err := fmt.Fprintf(c, request[1:], "rest"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.answer(); got != "rest" || err != nil {
		t.Error(got, err)
	}
}

// listening tells when a single byte was read.
type listening struct {
	net.Listener
	bytes chan struct{}
}

func (l listening) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &listened{c.(*net.TCPConn), l.bytes}, nil
}

type listened struct {
	*net.TCPConn
	bytes chan struct{}
}

func (c *listened) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n == 1 {
		c.bytes <- struct{}{}
	}
	return n, err
}

func TestParkedConnectionEndsWithTheIdleTimeout(t *testing.T) {
	const timeout = 1500 * time.Millisecond // in which the test has to see that it is parked
	ways(t, Options{IdleTimeout: timeout, Patience: time.Nanosecond}, echo, func(t *testing.T, s *site) {
		c := s.dial(t)
		began := time.Now()
		c.mustGet(t, "x", "x")
		s.await(t, 1)
		c.end(t)
		if took := time.Since(began); took < timeout {
			t.Errorf("it ended after %s, want %s", took, timeout)
		}
		s.await(t, 0)
	})
}

// The server's deadline for the wait must not cut the request that ends it.
func TestDeadlineOfTheWaitIsGoneWhenARequestComes(t *testing.T) {
	const timeout = 1500 * time.Millisecond // in which the request has to come
	read := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	lot := New(Options{IdleTimeout: timeout, Patience: time.Nanosecond})
	s := serve(t, lot, read, func(srv *http.Server) { srv.ReadHeaderTimeout = 0 }) // net/http sets none in its place
	c := s.dial(t)
	c.mustGet(t, "", "")
	s.await(t, 1)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na")
	s.await(t, 0)
	<-time.After(timeout + 100*time.Millisecond) // the deadline is from before the request
	io.WriteString(c, "b")
	if got, _, err := c.answer(); got != "ab" || err != nil {
		t.Error(got, err)
	}
}

func TestShortIdleTimeoutParksNothing(t *testing.T) {
	s := serve(t, New(Options{IdleTimeout: 20 * time.Millisecond, Patience: time.Second}), echo)
	c := s.dial(t)
	c.mustGet(t, "x", "x")
	c.end(t)
	if s.lot.ids.Load() != 1 || s.lot.watch != nil {
		t.Error("it was parked")
	}
}

func TestClientThatLeavesEndsTheStay(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		c := s.dial(t)
		c.mustGet(t, "x", "x")
		s.await(t, 1)
		c.Close()
		if err := <-s.drain(0); err != nil { // which waits for every connection
			t.Error(err)
		}
		s.await(t, 0)
	})
}

func TestHijackedConnectionIsNeverParked(t *testing.T) {
	gone := make(chan struct{})
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/up" {
			echo(w, r)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer close(gone)
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			io.Copy(c, rw)
		}()
	}
	s := serve(t, New(soon()), h)
	c := s.dial(t)
	c.mustGet(t, "x", "x")
	s.await(t, 1) // not even if it was, before
	fmt.Fprintf(c, request+"hello", "up")
	if res, err := http.ReadResponse(c.br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	b := make([]byte, 5)
	for _, text := range []string{"hello", "again"} {
		if _, err := io.ReadFull(c.br, b); err != nil || string(b) != text {
			t.Fatalf("%q, %v", b, err)
		}
		if text == "hello" {
			io.WriteString(c, "again")
		}
	}
	if n := s.lot.Parked(); n != 0 {
		t.Errorf("%d are parked", n)
	}
	c.Close()
	<-gone
}

// What a handler left running may hold the context of its request for as long as it likes.
func TestContextOfARequestOutlivesTheStay(t *testing.T) {
	type key struct{}
	var held []context.Context
	h := func(w http.ResponseWriter, r *http.Request) { held = append(held, r.Context()); echo(w, r) }
	s := serve(t, New(soon()), h)
	c := s.dial(t)
	var readers sync.WaitGroup
	var stop atomic.Bool
	defer readers.Wait()
	defer stop.Store(true)
	for n := range 3 {
		c.mustGet(t, "x", "x")
		s.await(t, 1)
		ctx := held[n]
		readers.Go(func() {
			for !stop.Load() {
				if ctx.Value(key{}) != nil {
					t.Error("a value from nowhere")
				}
			}
		})
	}
}

func TestPatienceShrinksWithTheCrowd(t *testing.T) {
	for idle, want := range map[int64]time.Duration{0: patience, many: patience, 2 * many: patience / 2, 1 << 20: leastPatience} {
		if got := patienceWith(idle); got != want {
			t.Errorf("%d idle: %s, want %s", idle, got, want)
		}
	}
}
