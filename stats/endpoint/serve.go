package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// What one client may cost. A scrape takes milliseconds and has a head of a few hundred
// bytes.
const (
	readTimeout  = 5 * time.Second  // whole request
	writeTimeout = 10 * time.Second // whole answer
	idleTimeout  = 60 * time.Second // more than any usual scrape interval
	maxHead      = 8 << 10
	maxConns     = 64
	stopTimeout  = time.Second // for answers under way when the server ends
)

// Serve answers on ln until ctx ends, and closes ln. It returns nil then, and an error if
// ln failed before. When it returns, no goroutine of it is left but those of answers
// that took longer than a second to cut off.
func Serve(ctx context.Context, ln net.Listener, src stats.Source) error {
	srv := newServer(src)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		_ = srv.Close()
		return fmt.Errorf("serve stats on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve stats on %s: %w", ln.Addr(), err)
	}
	return nil
}

func newServer(src stats.Source) *http.Server {
	return &http.Server{
		Handler:        Handler(src),
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHead,
		ConnState:      limitConns(maxConns),
		ErrorLog:       log.New(io.Discard, "", 0), // what clients do wrong is no news of ours
	}
}

// limitConns closes what comes beyond limit connections at once. They are not left to
// wait in the kernel: a client that is refused knows where it stands.
func limitConns(limit int64) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if open.Add(1) > limit {
				_ = c.Close() // net/http's read then fails, and StateClosed follows
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}
