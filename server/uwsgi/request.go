package uwsgi

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// madeRequest is what of a request outlives its decoding, in one piece of memory. A handler
// may keep any part of it, and then keeps the whole: it is never used again.
type madeRequest struct {
	requestInfo
	request http.Request
	url     url.URL
	values  [usualHeaders]string
}

// newRequest makes the request a handler sees, in to, which ctx leads to by requestInfoKey.
func newRequest(ctx context.Context, to *madeRequest, p *incoming, body io.ReadCloser, conn addresser) (*http.Request, error) {
	if p.count == 0 {
		return nil, refuse(http.StatusBadRequest, "the block of variables is empty")
	}
	if p.invalid != nil {
		return nil, p.invalid
	}
	if err := p.completeHeaders(); err != nil {
		return nil, err
	}
	req := &to.request
	if err := p.setFields(req, conn); err != nil {
		return nil, err
	}
	to.requestInfo = requestInfo{block: p.block, count: p.count, tls: p.isTLS()}
	if err := p.setURL(to); err != nil {
		return nil, err
	}
	req.Header = p.headers.header(to.values[:])
	req.Body, req.ContentLength = body, p.length
	*req = *req.WithContext(ctx) // the only way to set it; the copy stays on the stack
	return req, nil
}

func (c *cgi) setFields(req *http.Request, conn addresser) (err error) {
	if req.RemoteAddr, err = c.remoteOr(conn); err != nil {
		return err
	}
	req.Method = c.method.value
	if !validName(req.Method) {
		return refuse(http.StatusBadRequest, "REQUEST_METHOD %.32q is no method", req.Method)
	}
	if req.Proto, req.ProtoMajor, req.ProtoMinor, err = c.version(); err != nil {
		return err
	}
	req.Host, err = c.hostname()
	return err
}

// setURL sets the fields that depend on the target. An absolute target (a proxy request)
// overrules the Host header, RFC 9112 3.2.2.
func (c *cgi) setURL(to *madeRequest) (err error) {
	req := &to.request
	if req.RequestURI, err = c.requestURI(); err != nil {
		return err
	}
	req.URL = &to.url
	if err = parseTarget(req.URL, req.Method, req.RequestURI); err != nil {
		return err
	}
	if req.URL.Host != "" {
		req.Host = req.URL.Host
	}
	to.prefix = c.prefix(req.URL.Path)
	return c.route(req.URL)
}

// requestInfo is what a handler can ask about its request and http.Request has no field
// for. It is reached through the request's context.
type requestInfo struct {
	block  string // of count variables, checked
	count  int
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
// mounts the application, is found there. Compare [net/http/fcgi.ProcessEnv]. Each call
// makes a new list.
func VarsOf(r *http.Request) Vars {
	if info := infoOf(r); info != nil {
		return listVars(info.block, info.count)
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
