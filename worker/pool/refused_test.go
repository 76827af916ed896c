package pool

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
)

// halfPipe is a pipe on which a server can wait for its peer's goodbye.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// TestPeersThatAreRefusedHoldNoSlot: strangers, and senders of what is no request, who all
// stay and say nothing more.
func TestPeersThatAreRefusedHoldNoSlot(t *testing.T) {
	const peers = 40 // more than the server waits for at a time
	for name, test := range map[string]struct {
		allowed bool
		says    string
		answer  string
	}{
		"strangers":       {answer: "403 Forbidden"},
		"unknown packets": {allowed: true, says: "\x07\x00\x00\x00", answer: "501 Not Implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var come atomic.Int64
				srv := &uwsgi.Server{
					AllowFrom: func(net.Addr) bool { return come.Add(1) > peers || test.allowed },
					ErrorLog:  func(string, ...any) {},
				}
				ln := newMemListener()
				p := newPool(t, Options{Slots: 1})
				serveUWSGI(t, p, srv, ln, ok)
				began := time.Now()
				for range peers {
					c := ln.dialHalf(t)
					if test.says != "" {
						_, _ = io.WriteString(c.conn, test.says)
					}
					if line, err := c.br.ReadString('\n'); !strings.Contains(line, test.answer) {
						t.Fatalf("%q, %v", line, err)
					}
					go func() { _, _ = io.Copy(io.Discard, c.br) }()
				}
				synctest.Wait()
				if n := p.conns.len(); !test.allowed && n > peers/2 {
					t.Errorf("%d of %d strangers are waited for", n, peers)
				}
				client := uwsgi.Client{Dial: func(context.Context) (net.Conn, error) { return ln.dialHalf(t).conn, nil }}
				r, _ := http.NewRequest("GET", "http://test/", nil)
				res, err := client.RoundTrip(r)
				if err != nil || res.StatusCode != 200 {
					t.Fatalf("%+v, %v", res, err)
				}
				_ = res.Body.Close()
				if took := time.Since(began); took != 0 {
					t.Errorf("the allowed request was answered after %s", took)
				}
			})
		})
	}
}

func (l *memListener) dialHalf(t testing.TB) *client {
	ours, theirs := net.Pipe()
	l.queue <- halfPipe{theirs}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return newClient(ours)
}

// serveUWSGI serves on ln, through a gate, until the test ends.
func serveUWSGI(t testing.TB, p *Pool, srv *uwsgi.Server, ln net.Listener, h http.HandlerFunc) {
	t.Helper()
	srv.Handler, srv.ConnContext = p.Handler(h), p.ConnContext
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(p.Gate(ln, GateOptions{})); err != uwsgi.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ln.Close()
		srv.Close()
		serving.Wait()
	})
}
