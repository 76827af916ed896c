package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
)

// Options says what is served.
type Options struct {
	// Source is asked for each answer.
	Source stats.Source

	// Alive reports that the master still does its work, or why not. Its context ends when
	// nobody waits for the answer any more. Nil: what can answer at all is alive.
	Alive func(context.Context) error

	// App gives the application's own metrics, of all workers together. It is asked once
	// at a time, however many scrapes there are. Nil: there are none.
	App prometheus.Gatherer

	// StopTimeout is for answers under way when the server ends; zero means a second.
	StopTimeout time.Duration

	// Shed counts the connections that were closed because too many were open, for who
	// serves more than once. May be nil.
	Shed *atomic.Uint64
}

// Serve answers on ln until ctx ends, and closes ln. It returns nil then, and an error if
// ln failed before. When it returns, no goroutine of it is left but those of answers
// that took longer than StopTimeout to cut off.
func Serve(ctx context.Context, ln net.Listener, o Options) error {
	srv, front := newServer(ln, o)
	parting := NewParting(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(front) }()
	var err error
	select {
	case err = <-served:
		_ = front.Close()
	case <-ctx.Done():
		_ = front.Close()
		<-served
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.StopTimeout, time.Second))
	defer cancel()
	if parting.End(stop) != nil {
		_ = srv.Close()
	}
	front.finish(stop)
	if err == nil {
		return nil
	}
	return fmt.Errorf("serve stats on %s: %w", ln.Addr(), err)
}

func newServer(ln net.Listener, o Options) (*http.Server, *dialects) {
	if o.Shed == nil {
		o.Shed = new(atomic.Uint64)
	}
	open := newConns(maxConns, o.Shed)
	p := newPages(o, ln.Addr(), o.Shed)
	srv := &http.Server{
		Handler:        p,
		ConnContext:    connContext,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHead,
		ErrorLog:       log.New(io.Discard, "", 0), // what clients do wrong is no news of ours

		DisableGeneralOptionsHandler: true, // OPTIONS * is refused as every other method is
	}
	return srv, newDialects(ln, open, p.dump)
}
