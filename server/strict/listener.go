package strict

import (
	"fmt"
	"net"
	"net/http"
	"sync"
)

// DefaultMaxHead is the longest head when Options does not say.
const DefaultMaxHead = 64 << 10

// Options configure a Listener.
type Options struct {
	// MaxHead is the longest request line with its header that is let through; a longer one
	// is answered 431. It must not be less than the MaxHeaderBytes of the server. Zero means
	// DefaultMaxHead.
	MaxHead int

	// HTTP2 lets a connection through that begins with the preface of HTTP/2. Only for a
	// server that speaks it without TLS: another would give the preface to its handler.
	HTTP2 bool

	// OnRefuse is told of each refusal, from the connection's goroutine. May be nil.
	OnRefuse func(peer net.Addr, r *Refusal)
}

// Refusal says why a connection gets no further. A handler meets it as the error of a
// request body whose framing is broken.
type Refusal struct {
	Status int    // of the answer; of a broken body, the one the handler ought to give
	Cause  string // nothing of it was sent by the client
}

func (r *Refusal) Error() string { return fmt.Sprintf("refused with %d: %s", r.Status, r.Cause) }

// Wrap gives a function that wraps connections, for a server whose ConnState calls ConnState.
// Over TLS, a Conn hides the *tls.Conn from the server: only for those that speak HTTP/1.
func Wrap(o Options) func(net.Conn) *Conn {
	if o.MaxHead <= 0 {
		o.MaxHead = DefaultMaxHead
	}
	s := &shared{opts: o}
	return func(inner net.Conn) *Conn { return newConn(inner, s) }
}

// Listener wraps each connection of ln.
func Listener(ln net.Listener, o Options) net.Listener {
	return &listener{Listener: ln, wrap: Wrap(o)}
}

type listener struct {
	net.Listener
	wrap func(net.Conn) *Conn
}

// shared is what the connections of one Wrap have in common.
type shared struct {
	opts   Options
	blocks sync.Pool // *block: few connections need one at any time, and not for long
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(inner), nil
}

// ConnState has to be called by the function in the field of the same name of the server:
// what is read after a hijack is not HTTP. A connection may be embedded in another.
func ConnState(nc net.Conn, state http.ConnState) {
	if c, ok := nc.(interface{ release() }); ok && state == http.StateHijacked {
		c.release()
	}
}
