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

// Listener wraps the listener of an *http.Server whose ConnState calls ConnState.
func Listener(ln net.Listener, o Options) net.Listener {
	if o.MaxHead <= 0 {
		o.MaxHead = DefaultMaxHead
	}
	return &listener{Listener: ln, shared: &shared{opts: o}}
}

type listener struct {
	net.Listener
	shared *shared
}

// shared is what the connections of one listener have in common.
type shared struct {
	opts   Options
	blocks sync.Pool // *block: few connections need one at any time, and not for long
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(inner, l.shared), nil
}

// ConnState has to be called by the function in the field of the same name of the server:
// what is read after a hijack is not HTTP.
func ConnState(nc net.Conn, state http.ConnState) {
	if c, ok := nc.(*Conn); ok && state == http.StateHijacked {
		c.release()
	}
}
