package server

import (
	"net"
	"net/http"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/parking"
	"github.com/seed17661985/ostler/server/strict"
)

// httpServer is net/http's server behind a look at the raw requests: what two
// readers could understand differently does not get through.
type httpServer struct {
	*http.Server
	log      hclog.Logger
	onRefuse func(status int) // may be nil
}

// newHTTPServer takes over srv.
func newHTTPServer(srv *http.Server, log hclog.Logger) *httpServer {
	next := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		strict.ConnState(c, state)
		parking.ConnState(c, state)
		if next != nil {
			next(c, state)
		}
	}
	return &httpServer{Server: srv, log: log}
}

// framed looks at what comes in by ln.
func (s *httpServer) framed(ln net.Listener) net.Listener {
	return strict.Listener(ln, strict.Options{
		MaxHead:  s.MaxHeaderBytes,
		HTTP2:    s.Protocols != nil && s.Protocols.UnencryptedHTTP2(),
		OnRefuse: s.refused,
	})
}

// refused is one line for each: the request reaches neither the application nor
// the access log.
func (s *httpServer) refused(peer net.Addr, r *strict.Refusal) {
	s.log.Warn("http request refused", "peer", addrName(peer), "status", r.Status, "cause", r.Cause)
	if s.onRefuse != nil {
		s.onRefuse(r.Status)
	}
}

// addrName names a peer also where it has no address, as on unix sockets.
func addrName(a net.Addr) string {
	if a == nil {
		return "unknown"
	}
	if s := a.String(); s != "" && s != "@" {
		return s
	}
	return a.Network()
}
