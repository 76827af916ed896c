package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
)

// certificates are those of the https sockets, by address.
type certificates map[string]tls.Certificate

// loadCertificates reads what a worker serves with as long as it lives. A reload
// starts new workers, which read anew.
func loadCertificates(cfg config.Config, log hclog.Logger) (certificates, error) {
	all := certificates{}
	var errs []error
	for _, s := range cfg.Sockets {
		if s.Proto != "https" {
			continue
		}
		cert, err := loadCertificate(s.Cert, s.Key)
		if err != nil {
			errs = append(errs, fmt.Errorf("https-socket %s: %w", s.Address, err))
			continue
		}
		warnValidity(cert, s.Cert, time.Now(), log)
		all[s.Address.Addr] = cert
	}
	return all, errors.Join(errs...)
}

func loadCertificate(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read key: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return cert, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return cert, nil
}

// warnValidity is no reason not to start: an operator who deploys a fix with an
// expired certificate has enough trouble.
func warnValidity(cert tls.Certificate, file string, now time.Time, log hclog.Logger) {
	switch leaf := cert.Leaf; {
	case leaf == nil:
	case now.After(leaf.NotAfter):
		log.Warn("certificate has expired", "file", file, "at", leaf.NotAfter)
	case now.Before(leaf.NotBefore):
		log.Warn("certificate is not valid yet", "file", file, "from", leaf.NotBefore)
	}
}

// config is the TLS of the socket called name.
func (c certificates) config(name string) (*tls.Config, error) {
	cert, ok := c[name]
	if !ok {
		// The configuration says port 0, the name which one the kernel chose.
		host, _, _ := net.SplitHostPort(name)
		cert, ok = c[net.JoinHostPort(host, "0")]
	}
	if !ok {
		return nil, errors.New("no certificate was configured for it")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}
