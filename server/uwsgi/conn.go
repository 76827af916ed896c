package uwsgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// conn serves the one request of a connection, on one goroutine. It is one piece of memory
// with everything the request needs, and is never used again: a handler may keep its
// request, and a goroutine it left behind may use its response, for as long as they like.
// Only the buffers are used again, and those no handler ever sees.
type conn struct {
	srv *Server
	rwc net.Conn
	br  *bufio.Reader // nil once hijacked

	src   source
	watch watcher
	ctx   requestContext
	body  body
	res   response

	mu       sync.Mutex
	prompt   prompt        // nil if rwc is none, and once somebody set a deadline
	perWrite time.Duration // zero once somebody set a deadline

	next, prev *conn // guarded by srv.mu
}

// newConn makes a connection known to the server.
func (s *Server) newConn(rwc net.Conn) *conn {
	c := &conn{srv: s, rwc: rwc, perWrite: s.WriteTimeout}
	c.prompt, _ = rwc.(prompt)
	c.src.rwc, c.src.watch, c.src.prompt, c.src.perHead = rwc, &c.watch, c.prompt, s.HeaderTimeout
	c.watch.rwc, c.watch.ctx = rwc, &c.ctx
	c.ctx.base, c.ctx.watch, c.ctx.local = context.Background(), &c.watch, rwc.LocalAddr()
	if s.ConnContext != nil {
		c.ctx.base = s.ConnContext(c.ctx.base, rwc)
	}
	s.track(c)
	return c
}

// serve returns when the connection is closed or somebody else's. It has no error:
// what went wrong is answered and logged here.
func (c *conn) serve() {
	defer c.srv.forget(c)
	defer c.ctx.end(context.Canceled)
	if allow := c.srv.AllowFrom; allow != nil && !allow(c.rwc.RemoteAddr()) {
		c.turnAway(refuse(http.StatusForbidden, "peer is not in the list of those allowed to speak uwsgi"))
		return
	}
	c.br = c.srv.getReader(&c.src)
	defer c.releaseReader()
	var p incoming
	said, err := c.readHead(&p)
	switch {
	case err != nil:
		c.refuse(err, false)
	case !said:
		c.rwc.Close() // closed before its first byte: a probe
	case p.Modifier1 == ModifierPing:
		c.pong()
	default:
		c.serveRequest(&p)
	}
}

// readHead reports without an error if the peer never said anything.
func (c *conn) readHead(p *incoming) (said bool, err error) {
	err = p.read(c.br, c.srv.Limits)
	c.src.beginBody(c.srv.ReadTimeout)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return true, refuse(http.StatusGatewayTimeout, "request head was not complete within %s", c.srv.HeaderTimeout)
	case !c.src.seen:
		return false, nil
	}
	return true, err
}

// pong answers a ping: no warning to report, so an empty block.
func (c *conn) pong() {
	_, _ = c.Write(Header{Modifier1: ModifierPing, Modifier2: 1}.AppendTo(nil))
	c.rwc.Close()
}

func (c *conn) serveRequest(p *incoming) {
	var in io.ReadCloser = http.NoBody
	b := &c.body
	b.br, b.src, b.watch, b.remain = c.br, &c.src, &c.watch, p.length
	if b.remain > 0 {
		in = b
	}
	req, err := newRequest(&c.ctx, &c.ctx.madeRequest, p, in, c.rwc)
	if err != nil {
		c.refuse(err, p.method.value == http.MethodHead)
		return
	}
	if b.remain <= int64(c.br.Buffered()) {
		c.watch.bodyDrained()
	}
	c.res.begin(c, req.Method)
	// Deferred, because a handler may also end its goroutine with runtime.Goexit.
	how := endBroken
	defer func() { c.finish(how) }()
	c.run(&c.res, req, &how)
}

// run calls the handler and survives it. It says how that ended through how, because it
// does not return after runtime.Goexit.
func (c *conn) run(w *response, req *http.Request, how *ending) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover() // nil after runtime.Goexit
		silent := v == http.ErrAbortHandler
		if !silent {
			c.log("handler panicked", "panic", fmt.Sprint(v), "method", req.Method,
				"path", req.URL.Path, "stack", string(debug.Stack()))
		}
		c.ctx.end(context.Canceled)
		*how = w.fail(silent)
	}()
	c.srv.handler(req).ServeHTTP(w, req)
	returned = true
	c.ctx.end(context.Canceled)
	*how = w.finish()
	if req.MultipartForm != nil {
		_ = req.MultipartForm.RemoveAll()
	}
}

// Write is every write of a response, but for files.
func (c *conn) Write(p []byte) (n int, err error) {
	if now := c.promptly(); now != nil {
		n, err = now.TryWrite(p)
	}
	if err == nil && n < len(p) {
		c.extendWrite()
		var m int
		m, err = c.rwc.Write(p[n:])
		n += m
	}
	if err != nil {
		c.clientGone()
	}
	return n, err
}

// writeBoth writes head and body with one system call where that is possible.
func (c *conn) writeBoth(head, body []byte) (err error) {
	n := 0
	if now := c.promptly(); now != nil {
		if n, err = now.TryWritev([][]byte{head, body}); err != nil {
			c.clientGone()
			return err
		}
	}
	if n < len(head) {
		if _, err := c.Write(head[n:]); err != nil {
			return err
		}
		n = len(head)
	}
	if rest := body[n-len(head):]; len(rest) > 0 {
		_, err = c.Write(rest)
	}
	return err
}

func (c *conn) promptly() prompt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prompt
}

func (c *conn) clientGone() { c.ctx.end(errClientGone) }

// extendWrite sets the deadline for a write that is going to wait.
func (c *conn) extendWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.perWrite > 0 {
		c.rwc.SetWriteDeadline(time.Now().Add(c.perWrite))
	}
}

func (c *conn) setWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.perWrite, c.prompt = 0, nil
	return c.rwc.SetWriteDeadline(t)
}

// hijack gives the connection away, without any deadline of ours.
func (c *conn) hijack() (net.Conn, *bufio.Reader) {
	c.watch.stop()
	c.src.beginBody(0)
	c.rwc.SetDeadline(time.Time{})
	br := c.br
	c.br = nil
	c.srv.forget(c)
	return c.rwc, br
}

func (c *conn) releaseReader() {
	if c.br != nil {
		c.srv.putReader(c.br)
		c.br = nil
	}
}

// kill is Server.Close: whatever the connection is doing fails now. It closes first: a
// handler that hears of the end before could still answer as if nothing had happened.
func (c *conn) kill() {
	c.rwc.Close()
	c.ctx.end(context.Canceled)
}

func (c *conn) log(msg string, kv ...any) {
	c.srv.log(msg, append([]any{"peer", peerName(c.rwc)}, kv...)...)
}

func peerName(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil {
		if s := a.String(); s != "" && s != "@" {
			return s
		}
		return a.Network()
	}
	return "unknown"
}

// connList is the connections of a server. A map would cost a request more than its links.
type connList struct{ first *conn }

func (l *connList) add(c *conn) {
	c.next = l.first
	if c.next != nil {
		c.next.prev = c
	}
	l.first = c
}

// remove reports whether c was a member.
func (l *connList) remove(c *conn) bool {
	if c.prev == nil && l.first != c {
		return false
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	return true
}
