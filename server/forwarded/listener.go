package forwarded

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options configure a Listener.
type Options struct {
	Trust Trust

	// HeaderTimeout limits the wait for a PROXY header, or for the bytes that show that
	// there is none. Zero means no limit.
	HeaderTimeout time.Duration

	// OnRefuse is told why a connection is ended. May be nil.
	OnRefuse func(peer net.Addr, err error)
}

// Listener reads the PROXY header of each connection of ln whose peer is trusted. A
// header is not demanded: a proxy that speaks HTTP has the X-Forwarded fields instead.
// One from anybody else is refused.
//
// The header is read by the first call of RemoteAddr or Read, and not by Accept, which
// must not wait for anybody.
func Listener(ln net.Listener, o Options) net.Listener {
	if !o.Trust.Anybody() {
		return ln
	}
	return &listener{ln, o}
}

type listener struct {
	net.Listener
	opts Options
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.opts.Trust.Peer(c.RemoteAddr()) {
		return &conn{base: base{Conn: c, opts: &l.opts}}, nil
	}
	return &stranger{base: base{Conn: c, opts: &l.opts}}, nil
}

// base is what both kinds of connections are, and what net/http looks for in one.
type base struct {
	net.Conn
	opts    *Options
	lingers atomic.Bool // refused, and Close has yet to wait for the client
}

// A refused client may go on sending for a while before the connection is closed under
// it: bytes nobody read would reset it, and a reset can overtake the server's answer.
const (
	farewell    = 500 * time.Millisecond
	maxFarewell = 256 << 10
)

// Close is called by anybody, once or more.
func (c *base) Close() error {
	if c.lingers.Swap(false) && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.CopyN(io.Discard, c.Conn, maxFarewell) // its end or the deadline
	}
	return c.Conn.Close()
}

// NetConn gives the connection as the listener made it.
func (c *base) NetConn() net.Conn { return c.Conn }

// ReadFrom lets the kernel copy (sendfile, splice) where the connection can.
func (c *base) ReadFrom(src io.Reader) (int64, error) { return io.Copy(c.Conn, src) }

// CloseWrite shuts down the writing side.
func (c *base) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn gives access to the socket. What was read with a header is not there.
func (c *base) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// refuse tells why nothing more is read.
func (c *base) refuse(err error) {
	c.lingers.Store(true)
	if c.opts.OnRefuse != nil {
		c.opts.OnRefuse(c.Conn.RemoteAddr(), err)
	}
}

// ErrRefused is what Read returns when OnRefuse was told why. A server that logs its read
// errors leaves this one out.
var ErrRefused = errors.New("connection refused for its PROXY header")

// errStranger is for the operator: this is how a proxy looks that was forgotten in Trust.
var errStranger = errors.New("PROXY header from a peer that is not trusted")

// stranger is a connection whose peer is not trusted.
type stranger struct {
	base

	// Owned by Read.
	begun, refused bool
}

// Read looks at what comes first. A header in pieces gets through, to a server that
// cannot make sense of it.
func (c *stranger) Read(b []byte) (int, error) {
	if c.refused {
		return 0, ErrRefused
	}
	n, err := c.Conn.Read(b)
	if n > 0 && !c.begun {
		c.begun = true
		if bytes.HasPrefix(b[:n], []byte(textMark)) || bytes.HasPrefix(b[:n], []byte(binaryMark)) {
			c.refused = true
			c.refuse(errStranger)
			return 0, ErrRefused
		}
	}
	return n, err
}

// conn is a connection from a trusted peer.
type conn struct {
	base
	once sync.Once

	// Written in once.
	source net.Addr // nil: the peer itself
	err    error    // what every Read answers

	behind []byte // read after the header and not handed out; owned by Read
}

// RemoteAddr is the client as the proxy names it.
//
// It comes before any deadline that a server sets, so it brings its own.
func (c *conn) RemoteAddr() net.Addr {
	c.once.Do(func() {
		if t := c.opts.HeaderTimeout; t > 0 {
			_ = c.SetReadDeadline(time.Now().Add(t))
			defer c.SetReadDeadline(time.Time{})
		}
		c.readHeader()
	})
	if c.source != nil {
		return c.source
	}
	return c.Conn.RemoteAddr()
}

func (c *conn) Read(b []byte) (int, error) {
	c.once.Do(c.readHeader)
	if len(c.behind) > 0 {
		n := copy(b, c.behind)
		if c.behind = c.behind[n:]; len(c.behind) == 0 {
			c.behind = nil // the memory of the header
		}
		return n, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(b)
}

func (c *conn) readHeader() {
	var b []byte
	for {
		source, n, err := parse(b)
		switch {
		case err == nil:
			if source.IsValid() {
				c.source = net.TCPAddrFromAddrPort(source)
			}
			c.behind = b[n:]
			return
		case err == errNone:
			c.behind = b
			return
		case err != errShort:
			c.refuse(err)
			return
		}
		if cap(b)-len(b) < 256 {
			b = append(make([]byte, 0, max(512, 2*cap(b))), b...)
		}
		n, err = c.Conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil && n == 0 {
			c.interrupted(b, err)
			return
		}
	}
}

// interrupted is the end of a connection before it was clear what it is. One that said
// nothing at all is a health check, or was kept in stock.
func (c *conn) interrupted(b []byte, err error) {
	if len(b) == 0 || err == io.EOF {
		c.behind, c.err = b, err
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("the PROXY header did not come in time")
	}
	c.refuse(err)
}

func (c *conn) refuse(err error) {
	c.err = ErrRefused
	c.base.refuse(err)
}
