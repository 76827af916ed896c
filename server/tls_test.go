package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestAnExpiredCertificateIsAWarning(t *testing.T) {
	t.Parallel()
	now := time.Now()
	hour := time.Hour
	for words, leaf := range map[string]*x509.Certificate{
		"":                  {NotBefore: now.Add(-hour), NotAfter: now.Add(hour)},
		"has expired":       {NotBefore: now.Add(-2 * hour), NotAfter: now.Add(-hour)},
		"is not valid yet:": {NotBefore: now.Add(hour), NotAfter: now.Add(2 * hour)},
	} {
		var out strings.Builder
		warnValidity(tls.Certificate{Leaf: leaf}, "/etc/site.pem", now, hclog.New(&hclog.LoggerOptions{Output: &out}))
		if got := out.String(); !strings.Contains(got, words) || (words == "") != (got == "") {
			t.Errorf("%q, want it to say %q", got, words)
		}
	}
}

func TestACertificateIsFoundByItsSocket(t *testing.T) {
	t.Parallel()
	c := certificates{"127.0.0.1:443": {}, "[::1]:0": {}, "/run/tls": {}}
	for name, want := range map[string]bool{
		"127.0.0.1:443": true, "/run/tls": true,
		"[::1]:40123":   true, // the port that the kernel chose
		"127.0.0.1:444": false, "/run/other": false, ":443": false,
	} {
		cfg, err := c.config(name)
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if want && (cfg.MinVersion != tls.VersionTLS12 || len(cfg.NextProtos) != 2) {
			t.Errorf("%s: %+v", name, cfg)
		}
	}
}

// starved has no descriptor at first, and is closed after that.
type starved struct {
	endedListener
	calls atomic.Int32
}

func (l *starved) Accept() (net.Conn, error) {
	switch l.calls.Add(1) {
	case 1, 2:
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return nil, net.ErrClosed
}

func TestAcceptOutlivesAWantOfDescriptors(t *testing.T) {
	t.Parallel()
	ln := &starved{}
	s := newHTTPS(&webServer{httpServer: newHTTPServer(&http.Server{}, hclog.NewNullLogger())}, nil)
	if err := s.accept(ln); !errors.Is(err, net.ErrClosed) || ln.calls.Load() != 3 {
		t.Errorf("%v after %d calls, want the end after 3", err, ln.calls.Load())
	}
}

func TestHTTPIsRecognisedWhereTLSShouldBe(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{"GET /": true, "POST ": true, "PRI *": true, "\x16\x03\x01\x00\x05": false, "SSH-2": false, "PROXY": false} {
		if isHTTP([5]byte([]byte(head))) != want {
			t.Errorf("%q: %v", head, !want)
		}
	}
}
