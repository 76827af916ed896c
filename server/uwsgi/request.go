package uwsgi

import (
	"context"
	"io"
	"net"
	"net/http"
)

// newRequest makes the request a handler sees. The context is the connection's and
// learns from r what VarsOf and Scheme later ask it.
func newRequest(ctx *requestContext, r *Request, body io.ReadCloser, peer net.Addr) (*http.Request, error) {
	if len(r.Vars) == 0 {
		return nil, refuse(http.StatusBadRequest, "the block of variables is empty")
	}
	c, err := collect(r)
	if err != nil {
		return nil, err
	}
	req := &http.Request{
		Method:        c.method.value,
		Header:        c.header,
		Body:          body,
		ContentLength: r.ContentLength,
	}
	if req.RemoteAddr, err = c.remote(peer); err != nil {
		return nil, err
	}
	if !validName(req.Method) {
		return nil, refuse(http.StatusBadRequest, "REQUEST_METHOD %.32q is no method", req.Method)
	}
	if req.Proto, req.ProtoMajor, req.ProtoMinor, err = c.version(); err != nil {
		return nil, err
	}
	if req.Host, err = c.hostname(); err != nil {
		return nil, err
	}
	if err := c.setURL(req); err != nil {
		return nil, err
	}
	ctx.requestInfo = requestInfo{vars: r.Vars, prefix: c.prefix(req.RequestURI), tls: c.isTLS()}
	return req.WithContext(ctx), nil
}

// setURL sets the three fields that depend on the target. An absolute target (a proxy
// request) overrules the Host header, RFC 9112 3.2.2.
func (c *cgi) setURL(req *http.Request) (err error) {
	if req.RequestURI, err = c.requestURI(); err != nil {
		return err
	}
	if req.URL, err = parseTarget(req.Method, req.RequestURI); err != nil {
		return err
	}
	if req.URL.Host != "" {
		req.Host = req.URL.Host
	}
	return c.route(req.URL)
}

// requestInfo is what a handler can ask about its request and http.Request has no field
// for. It is reached through the request's context.
type requestInfo struct {
	vars   Vars
	prefix string // see ScriptName
	tls    bool
}

// requestInfoKey finds the *requestInfo of a context.
type requestInfoKey struct{}

// infoOf returns nil if r was not served by this package.
func infoOf(r *http.Request) *requestInfo {
	info, _ := r.Context().Value(requestInfoKey{}).(*requestInfo)
	return info
}

// VarsOf returns the variables the front end sent for r, in their order, or nil if r
// was not served by this package. SCRIPT_NAME, the prefix under which the front end
// mounts the application, is found there. Compare [net/http/fcgi.ProcessEnv].
func VarsOf(r *http.Request) Vars {
	if info := infoOf(r); info != nil {
		return info.vars
	}
	return nil
}

// Scheme returns "https" if the client's connection to the front end was TLS, as far
// as the front end says (REQUEST_SCHEME, HTTPS), and "http" otherwise. For a request
// that was not served by this package it looks at r.TLS.
func Scheme(r *http.Request) string {
	info := infoOf(r)
	if info != nil && info.tls || info == nil && r.TLS != nil {
		return "https"
	}
	return "http"
}

// requestContext is the context of one request. It starts to watch for the peer's end
// only when somebody looks: most handlers never do, and watching costs a goroutine and
// two system calls.
type requestContext struct {
	context.Context // cancelled by the connection
	watch           *watcher
	local           net.Addr
	requestInfo
}

// Done also serves contexts derived from this one: the context package calls it once
// for each, and finds the embedded context behind it by its channel.
func (rc *requestContext) Done() <-chan struct{} {
	rc.watch.look()
	return rc.Context.Done()
}

func (rc *requestContext) Err() error {
	rc.watch.look()
	return rc.Context.Err()
}

func (rc *requestContext) Value(key any) any {
	switch key {
	case requestInfoKey{}:
		return &rc.requestInfo
	case http.LocalAddrContextKey:
		return rc.local
	}
	return rc.Context.Value(key)
}
