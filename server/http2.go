package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// handOff is where net/http looks for who serves HTTP/2 without TLS, once it
	// has read the preface. golang.org/x/net/http2 hooks in here too.
	handOff = "unencrypted_http2"

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	// maxStreams is how many requests one connection may have under way; what finds
	// no slot waits like everybody. nginx has the same limit.
	maxStreams = 128
)

// http2 serves HTTP/2 connections by net/http's own implementation, and says
// goodbye to them in two steps. That implementation alone has one: its GOAWAY
// names the last stream it has seen, and what the client sends before it reads
// that is dropped.
//
//	drain begins   GOAWAY with the highest number: serve everything, begin nothing
//	farewell later GOAWAY of net/http's own: a client that goes on is not served
type http2 struct {
	// base accepts nothing. It carries the settings of the connections, and its
	// Shutdown is the only way to make them say net/http's GOAWAY.
	base  *http.Server
	serve func(*http.Server, *tls.Conn, http.Handler)

	farewell time.Duration
	header   time.Duration // for the preface over TLS

	mu    sync.Mutex
	conns map[*goAwayConn]struct{}
	going bool

	watching sync.WaitGroup
	stop     chan struct{}
	stopped  sync.Once
}

// newHTTP2 takes over base, which must not be used otherwise.
func newHTTP2(base *http.Server, header, farewell time.Duration) (*http2, error) {
	base.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
	base.Protocols = new(http.Protocols)
	base.Protocols.SetHTTP2(true)
	base.Protocols.SetUnencryptedHTTP2(true)
	_ = base.Serve(endedListener{}) // sets HTTP/2 up and ends
	h := &http2{
		base: base, serve: base.TLSNextProto[handOff], farewell: farewell, header: header,
		conns: make(map[*goAwayConn]struct{}), stop: make(chan struct{}),
	}
	if h.serve == nil {
		return nil, errors.New("net/http has no HTTP/2 (is GODEBUG=http2server=0 set?)")
	}
	return h, nil
}

// endedListener has nothing more to accept.
type endedListener struct{}

func (endedListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (endedListener) Close() error              { return nil }
func (endedListener) Addr() net.Addr            { return &net.TCPAddr{} }

// install makes srv hand its HTTP/2 connections over.
func (h *http2) install(srv *http.Server) {
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": h.overTLS, handOff: h.overTCP}
}

// unencrypted is what net/http packs a connection without TLS in, because the
// functions of TLSNextProto want a *tls.Conn.
type unencrypted interface{ UnencryptedNetConn() net.Conn }

// packed is such a packing.
type packed struct {
	net.Conn // nil: it is only unpacked
	inner    net.Conn
}

func (p packed) UnencryptedNetConn() net.Conn { return p.inner }

func (h *http2) overTCP(_ *http.Server, c *tls.Conn, next http.Handler) {
	if p, ok := c.NetConn().(unencrypted); ok {
		gc := &goAwayConn{Conn: p.UnencryptedNetConn()}
		h.run(gc, gc, next)
	}
}

// goAwayTLS shows net/http that there is TLS below.
type goAwayTLS struct {
	*goAwayConn
	tls *tls.Conn
}

func (c goAwayTLS) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

func (h *http2) overTLS(_ *http.Server, c *tls.Conn, next http.Handler) {
	_ = c.SetReadDeadline(time.Now().Add(h.header))
	got := make([]byte, len(preface))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != preface {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	gc := &goAwayConn{Conn: c}
	h.run(gc, goAwayTLS{gc, c}, next)
}

// run serves gc, which net/http sees as nc, to its end.
func (h *http2) run(gc *goAwayConn, nc net.Conn, next http.Handler) {
	h.mu.Lock()
	h.conns[gc] = struct{}{}
	late := h.going
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.conns, gc)
		h.mu.Unlock()
	}()
	if late {
		gc.goAway() // goes out behind the settings
	}
	h.serve(h.base, tls.Client(packed{inner: nc}, nil), next)
}

// watch says goodbye when the drain begins, until close.
func (h *http2) watch(draining <-chan struct{}) {
	h.watching.Go(func() {
		select {
		case <-draining:
		case <-h.stop:
			return
		}
		h.goAway()
		last := time.NewTimer(h.farewell)
		defer last.Stop()
		select {
		case <-last.C:
			_ = h.base.Shutdown(context.Background()) // it has no connection to wait for
		case <-h.stop:
		}
	})
}

// goAway does not wait for a client that has stalled.
func (h *http2) goAway() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.going = true
	for gc := range h.conns {
		h.watching.Go(gc.goAway)
	}
}

// close ends the watch. The connections must be closed before.
func (h *http2) close() {
	h.stopped.Do(func() { close(h.stop) })
	h.watching.Wait()
}
