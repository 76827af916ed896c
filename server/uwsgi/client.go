package uwsgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client sends requests to a uwsgi server, one connection each. It is an
// http.RoundTripper; its zero value lacks an address only.
type Client struct {
	Network, Addr string // "tcp" and "host:port", or "unix" and a path

	// Dial replaces Network and Addr.
	Dial func(ctx context.Context) (net.Conn, error)

	// Modifier1 and Modifier2 go into the packet header as they are.
	Modifier1, Modifier2 uint8

	// Vars follow the variables made from a request and replace those of the same
	// name.
	Vars Vars
}

var _ http.RoundTripper = (*Client)(nil)

// RoundTrip sends req. Its body must be of known length, because the protocol has no
// other way to end one. It is sent while the response is read, so an early answer to a
// long upload arrives. The response's body is to be closed; after a 101 it is also an
// io.Writer to the connection.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	closeBody := func() {
		if req.Body != nil {
			req.Body.Close()
		}
	}
	length, err := bodyLength(req)
	if err != nil {
		closeBody()
		return nil, err
	}
	ctx := req.Context()
	nc, err := c.dial(ctx)
	if err != nil {
		closeBody()
		return nil, err
	}
	x := &exchange{Conn: nc, br: bufio.NewReader(nc), closeBody: closeBody}
	x.stop = context.AfterFunc(ctx, func() { nc.SetDeadline(past()) })
	resp, err := c.exchange(x, req, length)
	if err != nil {
		x.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return resp, nil
}

func (c *Client) exchange(x *exchange, req *http.Request, length int64) (*http.Response, error) {
	packet := &Request{
		Header: Header{Modifier1: c.Modifier1, Modifier2: c.Modifier2},
		Vars:   c.vars(req, length, x.LocalAddr()),
	}
	b, err := packet.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	if _, err := x.Write(b); err != nil {
		return nil, fmt.Errorf("uwsgi: send request: %w", err)
	}
	if length > 0 {
		// The goroutine ends with the connection, at the latest when the response's
		// body is closed. An error here shows in the response.
		go io.CopyN(x.Conn, req.Body, length)
	}
	resp, err := readResponse(x.br, req)
	if err != nil {
		return nil, fmt.Errorf("uwsgi: read response: %w", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = upgraded{x}
	} else {
		resp.Body = responseBody{resp.Body, x}
	}
	return resp, nil
}

// readResponse skips informational responses: nobody here waits for one.
func readResponse(br *bufio.Reader, req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(br, req)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
}

// Ping asks whether a worker accepts connections. The server's warning, if it has one,
// comes back as an error.
func (c *Client) Ping(ctx context.Context) error {
	nc, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(past()) })
	defer stop()
	warning, err := ping(nc)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("uwsgi: ping: %w", err)
	case len(warning) > 0:
		return fmt.Errorf("uwsgi: ping: the server warns: %q", warning)
	}
	return nil
}

func ping(nc net.Conn) (warning []byte, err error) {
	if _, err := nc.Write(Header{Modifier1: ModifierPing}.AppendTo(nil)); err != nil {
		return nil, err
	}
	var b [headerLen]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return nil, err
	}
	h := parseHeader(b[:])
	if h.Modifier1 != ModifierPing || h.Modifier2 != 1 {
		return nil, fmt.Errorf("answer % x is no pong", b)
	}
	warning = make([]byte, h.Size)
	_, err = io.ReadFull(nc, warning)
	return warning, err
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, c.Network, c.Addr)
}

func bodyLength(req *http.Request) (int64, error) {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0, nil
	case req.ContentLength <= 0:
		return 0, errors.New("uwsgi: request body of unknown length")
	}
	return req.ContentLength, nil
}

// exchange is the connection of one request and its response.
type exchange struct {
	net.Conn
	br        *bufio.Reader
	closeBody func()
	stop      func() bool // ends the watch over the request's context
}

func (x *exchange) Close() error {
	x.stop()
	err := x.Conn.Close()
	x.closeBody()
	return err
}

// responseBody ends the connection with the body.
type responseBody struct {
	io.Reader
	x *exchange
}

func (b responseBody) Close() error { return b.x.Close() }

// upgraded is the body after a 101: what net/http's Transport gives, too.
type upgraded struct{ *exchange }

func (u upgraded) Read(p []byte) (int, error) { return u.br.Read(p) }

// CloseWrite half-closes, if the connection can.
func (u upgraded) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

var _ io.ReadWriteCloser = upgraded{}
