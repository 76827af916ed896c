package pool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fleet is two generations of workers in one process: each has its own descriptor of one
// socket, as real workers do.
type fleet struct {
	socket *net.TCPListener

	mu     sync.Mutex
	served int64
	more   chan struct{} // closed at the next request
}

func newFleet(t *testing.T) *fleet {
	return &fleet{socket: listen(t).(*net.TCPListener), more: make(chan struct{})}
}

func (f *fleet) count() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.served++
	close(f.more)
	f.more = make(chan struct{})
}

func (f *fleet) total() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.served
}

// awaitMore waits until n further requests were served.
func (f *fleet) awaitMore(t *testing.T, n int64) {
	limit := time.After(patience)
	for target := f.total() + n; ; {
		f.mu.Lock()
		served, more := f.served, f.more
		f.mu.Unlock()
		if served >= target || t.Failed() {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Errorf("only %d of %d further requests were served", served-target+n, n)
			return
		}
	}
}

func (f *fleet) start(t *testing.T) (*Pool, func()) {
	file, err := f.socket.File()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(t, Options{Slots: 8, SocketTimeout: patience})
	srv := &http.Server{ConnContext: p.ConnContext, ConnState: p.ConnState,
		Handler: p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.count()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("body: %v", err)
			}
			w.Write(body)
		}))}
	var serving sync.WaitGroup
	serving.Go(func() {
		// The drain closes the gate; Close, which comes after it, may be seen first.
		if err := srv.Serve(p.Gate(ln, GateOptions{Grace: grace})); !errors.Is(err, net.ErrClosed) && err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return p, func() { srv.Close(); serving.Wait() }
}

// post is a client that keeps its connection and never sends anything twice.
func (f *fleet) post(addr string, body string, stop <-chan struct{}) (int64, error) {
	var c *client
	done := int64(0)
	defer func() {
		if c != nil {
			c.conn.Close()
		}
	}()
	for {
		select {
		case <-stop:
			return done, nil
		default:
		}
		if c == nil {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				return done, err
			}
			_ = nc.SetDeadline(time.Now().Add(patience))
			c = newClient(nc)
		}
		res, got, err := c.do("POST", "/", body)
		if err != nil || res.StatusCode != 200 || got != body {
			return done, fmt.Errorf("request %d: %v, %d bytes, %w", done, res, len(got), err)
		}
		done++
		if res.Close {
			c.conn.Close()
			c = nil
		}
	}
}

func TestNoRequestIsLostOverManyDrains(t *testing.T) {
	const clients, drains = 16, 10
	f := newFleet(t)
	stop := make(chan struct{})
	var running sync.WaitGroup
	var answered atomic.Int64
	worker, closeWorker := f.start(t)
	for i := range clients {
		running.Go(func() {
			n, err := f.post(f.socket.Addr().String(), string(bytes.Repeat([]byte{byte('a' + i)}, 1+i*1000)), stop)
			answered.Add(n)
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range drains {
		next, closeNext := f.start(t)
		f.awaitMore(t, 300) // under load
		if err := <-drainIn(worker, patience, patience/2); err != nil {
			t.Errorf("drain: %v", err)
		}
		closeWorker()
		checkFree(t, worker)
		worker, closeWorker = next, closeNext
	}
	close(stop)
	running.Wait()
	if err := <-drainIn(worker, patience, 0); err != nil {
		t.Error(err)
	}
	closeWorker()
	if answered.Load() != f.total() {
		t.Errorf("%d requests ran, %d were answered", f.total(), answered.Load())
	}
}

// An idle client that sends just when the linger ends may be refused, but then cleanly and
// before its request ran.
func TestRequestAtTheEndOfTheLingerIsAnsweredOrNeverRan(t *testing.T) {
	const clients = 32
	for range 5 {
		f := newFleet(t)
		worker, closeWorker := f.start(t)
		var conns []*client
		for range clients {
			c := dial(t, f.socket.Addr())
			if _, _, err := c.do("POST", "/", "first"); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		linger := 20 * time.Millisecond
		drained := drainIn(worker, patience, linger)
		end := time.Now().Add(linger)
		var answered atomic.Int64
		var running sync.WaitGroup
		for i, c := range conns {
			running.Go(func() {
				<-time.After(time.Until(end) + time.Duration(i-clients/2)*50*time.Microsecond)
				_, _, err := c.do("POST", "/", "at the end")
				c.conn.Close()
				switch {
				case err == nil:
					answered.Add(1)
				case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		running.Wait()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		closeWorker()
		if ran := f.total() - clients; ran != answered.Load() {
			t.Errorf("%d ran, %d were answered", ran, answered.Load())
		}
	}
}
