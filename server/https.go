package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed17661985/ostler/server/forwarded"
	"github.com/seed17661985/ostler/server/strict"
)

// httpsServer is a webServer behind TLS. It makes the handshakes itself, because
// net/http would read HTTP/1 from the TLS connection directly and leave no place
// for the strict framing in between:
//
//	gate ─▶ PROXY header ─▶ TLS ─▶ strict ─▶ net/http ─▶ X-Forwarded-* ─▶ pool
//	                          └────── h2 ───────┘
type httpsServer struct {
	*webServer
	config *tls.Config
	strict func(net.Conn) *strict.Conn

	ready       *feed // connections after their handshake
	handshaking sync.WaitGroup
}

func newHTTPS(s *webServer, config *tls.Config) *httpsServer {
	framing := strict.Options{MaxHead: s.MaxHeaderBytes, OnRefuse: s.refused}
	return &httpsServer{webServer: s, config: config, strict: strict.Wrap(framing), ready: newFeed()}
}

// Serve is worker.Server's. It returns when all that was accepted is handed over.
func (s *httpsServer) Serve(ln net.Listener) error {
	s.h2.watch(s.requests.Draining())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Server.Serve(s.ready) }) // ends when the feed does, and no earlier
	err := s.accept(forwarded.Listener(ln, s.proxies))
	s.handshaking.Wait()
	_ = s.ready.Close()
	serving.Wait()
	return err
}

// The pauses after an Accept that failed for want of descriptors or memory.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

func (s *httpsServer) accept(ln net.Listener) error {
	for pause := firstPause; ; {
		c, err := ln.Accept()
		if err == nil {
			pause = firstPause
			s.handshaking.Go(func() { s.handshake(c) })
			continue
		}
		if !isTemporary(err) {
			return err
		}
		s.log.Error("accept failed, going on", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-s.ready.done: // Close
		}
		pause = min(2*pause, maxPause)
	}
}

// isTemporary asks as net/http does. The method is deprecated because nobody
// can say what it means elsewhere; of Accept it means what the pauses are for.
func isTemporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

func (s *httpsServer) handshake(raw net.Conn) {
	raw.RemoteAddr() // reads a PROXY header within its own limit
	_ = raw.SetReadDeadline(time.Now().Add(s.ReadHeaderTimeout))
	c := tls.Server(raw, s.config)
	if err := c.Handshake(); err != nil {
		s.refuse(raw, err)
		return
	}
	_ = raw.SetReadDeadline(time.Time{})
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		s.ready.deliver(c) // net/http sees the TLS connection, and hands it over to s.h2
	} else {
		s.ready.deliver(&secureConn{Conn: s.strict(c), tls: c})
	}
}

// secureConn gives a framed connection its TLS state back, which is what net/http
// fills Request.TLS from.
type secureConn struct {
	*strict.Conn
	tls *tls.Conn
}

func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

const notTLS = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"This is an https socket: use https:// in the address.\n"

// farewell is how long a client that was refused may take to read why.
const farewell = 500 * time.Millisecond

// refuse ends a connection without TLS. Clients that go away, or that do not
// like the certificate, are none of the operator's business.
func (s *httpsServer) refuse(raw net.Conn, err error) {
	defer raw.Close()
	record, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, forwarded.ErrRefused): // told
	case plain && isHTTP(record.RecordHeader):
		s.log.Warn("http spoken to an https socket", "peer", addrName(raw.RemoteAddr()))
		_, _ = io.WriteString(raw, notTLS)
		if cw, ok := raw.(interface{ CloseWrite() error }); ok && cw.CloseWrite() == nil {
			_ = raw.SetReadDeadline(time.Now().Add(farewell))
			_, _ = io.CopyN(io.Discard, raw, maxHead) // a close with unread bytes could overtake the answer
		}
	case plain && strings.HasPrefix(string(record.RecordHeader[:]), "PROXY"):
		s.log.Warn("PROXY header on an https socket from a peer that is not in trusted-proxies", "peer", addrName(raw.RemoteAddr()))
	case errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || isRemote(err):
		s.log.Debug("TLS handshake ended by the client", "peer", addrName(raw.RemoteAddr()), "error", err)
	default:
		s.log.Info("TLS handshake refused", "peer", addrName(raw.RemoteAddr()), "error", err)
	}
}

// isHTTP looks at what should have been a TLS record header.
func isHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "PRI *":
		return true
	}
	return false
}

// isRemote recognises what the network or the client's TLS said.
func isRemote(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "read" || op.Op == "remote error")
}

// feed is a listener of connections that were accepted elsewhere.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

func (f *feed) deliver(c net.Conn) {
	select {
	case f.conns <- c:
	case <-f.done:
		_ = c.Close()
	}
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }
