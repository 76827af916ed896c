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

// conn serves the one request of a connection, on one goroutine.
type conn struct {
	srv    *Server
	rwc    net.Conn
	br     *bufio.Reader // nil once hijacked
	src    source
	watch  watcher
	ctx    *requestContext
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	perWrite time.Duration // zero once somebody set a deadline
}

func (s *Server) newConn(rwc net.Conn) *conn {
	c := &conn{srv: s, rwc: rwc, perWrite: s.WriteTimeout}
	ctx := context.Background()
	if s.ConnContext != nil {
		ctx = s.ConnContext(ctx, rwc)
	}
	ctx, c.cancel = context.WithCancelCause(ctx)
	c.watch.rwc, c.watch.cancel = rwc, c.cancel
	c.src.rwc, c.src.watch = rwc, &c.watch
	c.ctx = &requestContext{Context: ctx, watch: &c.watch, local: rwc.LocalAddr()}
	return c
}

// serve returns when the connection is closed or somebody else's. It has no error:
// what went wrong is answered and logged here.
func (c *conn) serve() {
	defer c.cancel(context.Canceled)
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
	limit := c.srv.HeaderTimeout
	if limit > 0 {
		c.rwc.SetReadDeadline(time.Now().Add(limit))
		defer c.rwc.SetReadDeadline(time.Time{})
	}
	err = p.read(c.br, c.srv.Limits)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return true, refuse(http.StatusGatewayTimeout, "request head was not complete within %s", limit)
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
	b := &body{br: c.br, src: &c.src, watch: &c.watch, remain: p.length}
	if b.remain > 0 {
		in = b
	}
	req, err := newRequest(c.ctx, &c.ctx.madeRequest, p, in, c.rwc)
	if err != nil {
		c.refuse(err, p.method.value == http.MethodHead)
		return
	}
	c.src.setPerRead(c.srv.ReadTimeout)
	if b.remain <= int64(c.br.Buffered()) {
		c.watch.bodyDrained()
	}
	w := newResponse(c, req.Method)
	// Deferred, because a handler may also end its goroutine with runtime.Goexit.
	how := endBroken
	defer func() { c.finish(how, b) }()
	how = c.run(w, req)
}

// run calls the handler and survives it.
func (c *conn) run(w *response, req *http.Request) (how ending) {
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
		c.cancel(context.Canceled)
		how = w.fail(silent)
	}()
	c.srv.handler(req).ServeHTTP(w, req)
	returned = true
	c.cancel(context.Canceled)
	how = w.finish()
	if req.MultipartForm != nil {
		_ = req.MultipartForm.RemoveAll()
	}
	return how
}

// Write is every write of a response.
func (c *conn) Write(p []byte) (int, error) {
	c.extendWrite()
	n, err := c.rwc.Write(p)
	if err != nil {
		c.clientGone()
	}
	return n, err
}

func (c *conn) clientGone() { c.cancel(errClientGone) }

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
	c.perWrite = 0
	return c.rwc.SetWriteDeadline(t)
}

// hijack gives the connection away, without any deadline of ours.
func (c *conn) hijack() (net.Conn, *bufio.Reader) {
	c.watch.stop()
	c.src.setPerRead(0)
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
	c.cancel(context.Canceled)
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
