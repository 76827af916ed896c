package server

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/seed17661985/ostler/server/forwarded"
	"github.com/seed17661985/ostler/server/parking"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/worker/pool"
)

// Scheme returns "https" if the client speaks TLS, to us or to the front end,
// and "http" otherwise. A front end says so in the uwsgi protocol, or by
// X-Forwarded-Proto if it is one of trusted-proxies.
func Scheme(r *http.Request) string {
	if s := forwarded.Scheme(r); s != "" {
		return s
	}
	return uwsgi.Scheme(r)
}

// webServer is an httpServer for everybody who speaks HTTP, directly or through
// a proxy that is trusted:
//
//	gate ─▶ PROXY header ─▶ strict ─▶ parking ─▶ net/http ─▶ X-Forwarded-* ─▶ pool
//	                                                └─▶ HTTP/2 ─┘
type webServer struct {
	*httpServer
	h2       *http2
	requests *pool.Pool
	proxies  forwarded.Options

	lot       *parking.Lot
	returning sync.WaitGroup // serves what comes back from there
}

func (p protocols) webServer(h http.Handler, requests *pool.Pool) (*webServer, error) {
	trust := forwarded.Trust{Networks: p.cfg.Trusted.Networks, Unix: p.cfg.Trusted.Unix}
	h = trust.Handler(h)
	s, base := p.httpServer(h, requests), p.httpServer(h, requests).Server
	if base.IdleTimeout == 0 {
		base.IdleTimeout = s.ReadHeaderTimeout // until the first request; zero would be for ever
	}
	h2, err := newHTTP2(base, s.ReadHeaderTimeout, p.linger()/2)
	if err != nil {
		return nil, err
	}
	h2.install(s.Server)
	proxies := forwarded.Options{
		Trust: trust, HeaderTimeout: s.ReadHeaderTimeout,
		OnRefuse: func(peer net.Addr, err error) {
			s.log.Warn("http connection refused", "peer", addrName(peer), "cause", err)
			requests.Refused(http.StatusBadRequest)
		},
	}
	lot := parking.New(parking.Options{IdleTimeout: s.IdleTimeout})
	return &webServer{httpServer: s, h2: h2, requests: requests, proxies: proxies, lot: lot}, nil
}

// linger is how long idle connections stay open in a drain, as package worker
// bounds it.
func (p protocols) linger() time.Duration {
	return min(idleLinger, time.Duration(p.cfg.WorkerReloadMercy)/2)
}

// Serve is worker.Server's.
func (s *webServer) Serve(ln net.Listener) error {
	s.h2.watch(s.requests.Draining())
	s.returning.Go(func() { _ = s.Server.Serve(s.lot.Returning()) }) // until Close
	s.returning.Go(s.rouse)
	return s.Server.Serve(s.lot.Listener(s.framed(forwarded.Listener(ln, s.proxies))))
}

// rouse tells the lot that a drain begins.
func (s *webServer) rouse() {
	select {
	case <-s.requests.Draining():
		s.lot.Rouse()
	case <-s.lot.Done():
	}
}

// Close cuts every connection.
func (s *webServer) Close() error {
	err := s.Server.Close()
	s.lot.Close()
	s.returning.Wait()
	s.h2.close()
	return err
}
