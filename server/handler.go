package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/worker"
	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

var (
	_ worker.Server = (*webServer)(nil)
	_ worker.Server = (*httpsServer)(nil)
	_ worker.Server = (*uwsgi.Server)(nil)
)

// maxHead bounds the request line and header of an http request, as the uwsgi
// protocol bounds its block.
const maxHead = 64 << 10

// acceptGrace is how long a fresh http connection may keep its place in the
// pool before its request has to queue like everybody's.
const acceptGrace = 10 * time.Millisecond

// protocols makes the protocol servers of one worker.
type protocols struct {
	cfg   config.Config
	log   hclog.Logger
	certs certificates

	assets *assets // nil: none
}

// newServer is worker.Service.NewServer.
func (p protocols) newServer(s control.Socket, h http.Handler, requests *pool.Pool) (worker.Server, pool.GateOptions, error) {
	if s.Proto == "uwsgi" {
		return p.uwsgiServer(h, requests), pool.GateOptions{}, nil
	}
	gate := pool.GateOptions{Grace: acceptGrace}
	web, err := p.webServer(h, requests)
	if err != nil || s.Proto != "https" {
		return web, gate, err
	}
	tls, err := p.certs.config(s.Name)
	return newHTTPS(web, tls), gate, err
}

func (p protocols) httpServer(h http.Handler, requests *pool.Pool) *httpServer {
	log := p.log.Named("http")
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Duration(p.cfg.HeaderTimeout),
		IdleTimeout:       time.Duration(p.cfg.HTTPKeepalive),
		MaxHeaderBytes:    maxHead,
		BaseContext:       p.assets.base(),
		ConnContext:       requests.ConnContext,
		ConnState:         requests.ConnState,
		ErrorLog:          log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn}),
	}
	srv.SetKeepAlivesEnabled(p.cfg.HTTPKeepalive > 0)
	s := newHTTPServer(srv, log)
	s.onRefuse = requests.Refused
	return s
}

func (p protocols) uwsgiServer(h http.Handler, requests *pool.Pool) *uwsgi.Server {
	return &uwsgi.Server{
		Handler:       h,
		HeaderTimeout: time.Duration(p.cfg.HeaderTimeout),
		ReadTimeout:   time.Duration(p.cfg.SocketTimeout),
		WriteTimeout:  time.Duration(p.cfg.SocketTimeout),
		AllowFrom:     allowFrom(p.cfg.AllowFrom),
		OnRefuse:      requests.Refused,
		ConnContext:   p.assets.connContext(requests.ConnContext),
		ErrorLog:      p.log.Named("uwsgi").Warn,
	}
}

// allowFrom decides who may speak uwsgi over TCP. The protocol has no
// authentication: whoever connects may claim to be any client. Without a list
// it is this machine. Unix sockets have file modes instead.
func allowFrom(list []netip.Prefix) func(net.Addr) bool {
	return func(peer net.Addr) bool {
		tcp, ok := peer.(*net.TCPAddr)
		if !ok {
			return true
		}
		ip := tcp.AddrPort().Addr().Unmap()
		if len(list) == 0 {
			return ip.IsLoopback()
		}
		for _, p := range list {
			if p.Contains(ip) {
				return true
			}
		}
		return false
	}
}

// limitBody answers 413 to a body that says it is too long, and stops reading
// one that turns out to be. It stands behind the pool, so that a refusal is
// counted and logged like any answer. Zero is no limit.
func limitBody(limit int64, next http.Handler) http.Handler {
	if limit <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limit {
			if r.ProtoMajor == 1 { // on HTTP/2 the stream alone ends
				w.Header().Set("Connection", "close") // the body is not going to be read
			}
			pool.BodyRefused(w)
			http.Error(w, "request body is over limit-post ("+strconv.FormatInt(limit, 10)+" bytes)", http.StatusRequestEntityTooLarge)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			if r.ContentLength < 0 {
				r.Body = &countedBody{ReadCloser: r.Body, out: w}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// countedBody is a limited body of which nobody said how long it is.
type countedBody struct {
	io.ReadCloser
	out     http.ResponseWriter
	refused bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var over *http.MaxBytesError
	if err != nil && !b.refused && errors.As(err, &over) {
		b.refused = true
		pool.BodyRefused(b.out)
	}
	return n, err
}
