package pool

import (
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// net/http says that an HTTP/2 connection is idle before the last answer has left. A drain
// that waits for nothing waits for that.
func TestASharedConnectionSettlesBeforeItIsExpired(t *testing.T) {
	for name, want := range map[string]time.Duration{"HTTP/1": 0, "HTTP/2": settle} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 1})
				server, peer := net.Pipe()
				defer peer.Close()
				defer server.Close()
				c := p.newConn(server, grace)
				p.conns.add(c)
				c.shared.Store(name == "HTTP/2")
				p.draining.Store(true)
				c.active()
				began := time.Now()
				time.Sleep(time.Hour) // fake: it works
				p.ConnState(c, http.StateIdle)
				if next := p.conns.expireIdle(began, 0); !next.IsZero() {
					time.Sleep(time.Until(next))
					p.conns.expireIdle(began, 0)
				}
				if took := time.Since(began) - time.Hour; !c.expired.Load() || took != want {
					t.Errorf("expired %v after %s, want it after %s", c.expired.Load(), took, want)
				}
			})
		})
	}
}

// halfClosed notes whether it is half closed in the middle of a write.
type halfClosed struct {
	net.Conn
	writing, early atomic.Bool
}

func (h *halfClosed) Write(b []byte) (int, error) {
	h.writing.Store(true)
	defer h.writing.Store(false)
	return h.Conn.Write(b)
}

func (h *halfClosed) CloseWrite() error {
	h.early.Store(h.writing.Load())
	return nil
}

// A client that reads slowly gets all that was written to it.
func TestASharedConnectionIsNotClosedInTheMiddleOfAWrite(t *testing.T) {
	for range 20 {
		server, peer := net.Pipe()
		half := &halfClosed{Conn: server}
		c := newPool(t, Options{Slots: 1}).newConn(half, grace)
		c.shared.Store(true)
		var both sync.WaitGroup
		both.Go(func() { _, _ = c.Write(make([]byte, 2)) })
		_, _ = peer.Read(make([]byte, 1)) // it is in the middle
		both.Go(func() { _ = c.closeWrite() })
		for range 100 {
			runtime.Gosched() // time for a mistake
		}
		_, _ = peer.Read(make([]byte, 1))
		both.Wait()
		peer.Close()
		if half.early.Load() {
			t.Fatal("half closed while it was written to")
		}
	}
}
