package uwsgi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves an http.Handler on uwsgi connections. The exported fields must not be
// changed once Serve was called. The zero value works.
//
// A connection that has a method Answered() is told by it when its request was refused: no
// handler will run for it, though it may stay open for a while so that its peer can read
// why. A listener that admits so many connections at a time may admit another one then.
type Server struct {
	// Handler answers the requests; nil means http.DefaultServeMux. A panic in it is
	// logged and answered with 500, or ends the connection if the response has begun.
	Handler http.Handler

	// HeaderTimeout limits the reading of a whole request head. Zero means no limit.
	HeaderTimeout time.Duration
	// ReadTimeout limits each read of a body, WriteTimeout each write of a response,
	// and so how long a peer may stall. Zero means no limit. A handler that sets a
	// deadline through http.ResponseController replaces them for its request.
	ReadTimeout, WriteTimeout time.Duration

	// Limits bounds a request.
	Limits Limits

	// AllowFrom decides whether a peer may speak to this server, by its address; of a
	// unix socket too. The protocol knows no password: whoever may connect can claim
	// any client address and user. Nil allows everybody.
	AllowFrom func(net.Addr) bool

	// ErrorLog gets one fact and pairs of key and value for everything that went wrong
	// and was not the handler's to report. Nil writes to the log package.
	ErrorLog func(msg string, kv ...any)

	// OnRefuse is told of each request that no handler will see, with the status it is
	// answered. Nil is nobody.
	OnRefuse func(status int)

	// ConnContext may derive the context of a connection's request.
	ConnContext func(context.Context, net.Conn) context.Context

	readers sync.Pool // of *bufio.Reader
	buffers sync.Pool // of *buffers
	dates   dateCache

	strangers atomic.Int64 // peers that are being turned away

	mu        sync.Mutex
	closing   bool
	cut       bool          // by Close: a connection that comes yet is closed, too
	done      chan struct{} // closed when closing; nil until asked for
	listeners map[net.Listener]struct{}
	conns     connList
	idle      []chan struct{} // closed when neither listeners nor conns are left
}

// Serve accepts connections until the listener fails, and closes it. It returns
// ErrServerClosed if that was intended. Connections in progress go on; Shutdown waits
// for them.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.enter(l) {
		return ErrServerClosed
	}
	defer s.leave(l)
	return s.serveCrew(l)
}

// Shutdown stops accepting and returns when the last connection is over, or with the
// error of ctx. A connection that was accepted is served, however late.
func (s *Server) Shutdown(ctx context.Context) error {
	idle := s.close()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops accepting and cuts every connection.
func (s *Server) Close() error {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := s.conns.first; c != nil; c = c.next {
		c.kill()
	}
	return nil
}

// close makes every Serve return. The channel tells when nothing is left.
func (s *Server) close() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.closing = true
		close(s.doneLocked())
	}
	for l := range s.listeners {
		l.Close()
	}
	idle := make(chan struct{})
	s.idle = append(s.idle, idle)
	s.tellIdleLocked()
	return idle
}

func (s *Server) enter(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[net.Listener]struct{})
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) leave(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.tellIdleLocked()
}

func (s *Server) track(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns.add(c)
	if s.cut {
		c.kill()
	}
}

// forget is called at the end of every connection, and at its hijacking.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns.remove(c) {
		s.tellIdleLocked()
	}
}

// tellIdleLocked counts listeners too: one that is still in Accept may yet come back
// with a connection.
func (s *Server) tellIdleLocked() {
	if s.conns.first != nil || len(s.listeners) > 0 {
		return
	}
	for _, idle := range s.idle {
		close(idle)
	}
	s.idle = nil
}

func (s *Server) doneLocked() chan struct{} {
	if s.done == nil {
		s.done = make(chan struct{})
	}
	return s.done
}

// handler returns who answers r. "OPTIONS *" asks the server, not a resource of it, and
// no handler expects it: net/http keeps it to itself too.
func (s *Server) handler(r *http.Request) http.Handler {
	switch {
	case r.RequestURI == "*" && r.Method == http.MethodOptions:
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
	case s.Handler != nil:
		return s.Handler
	}
	return http.DefaultServeMux
}

func (s *Server) log(msg string, kv ...any) {
	if s.ErrorLog != nil {
		s.ErrorLog(msg, kv...)
		return
	}
	var b strings.Builder
	b.WriteString("uwsgi: " + msg)
	for i := 0; i+1 < len(kv); i += 2 {
		fmt.Fprintf(&b, " %v=%q", kv[i], fmt.Sprint(kv[i+1]))
	}
	log.Print(b.String())
}

func (s *Server) getReader(src io.Reader) *bufio.Reader {
	if br, ok := s.readers.Get().(*bufio.Reader); ok {
		br.Reset(src)
		return br
	}
	return bufio.NewReaderSize(src, 8<<10)
}

func (s *Server) putReader(br *bufio.Reader) {
	br.Reset(nil) // drops the connection behind it
	s.readers.Put(br)
}

func (s *Server) getBuffers() *buffers {
	if b, ok := s.buffers.Get().(*buffers); ok {
		return b
	}
	return &buffers{head: make([]byte, 0, 1<<10), body: make([]byte, 0, bodyBuffer)}
}

func (s *Server) putBuffers(b *buffers) {
	b.head, b.body = b.head[:0], b.body[:0]
	s.buffers.Put(b)
}
