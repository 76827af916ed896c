package endpoint

import (
	"bytes"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	ours   = "ostler_"             // begins every name of our own
	theirs = "ostler_app_metrics_" // begins what Options.App says of itself

	// exporter is the value of the parameter compat that adds the names of that program.
	exporter = "uwsgi_exporter"
)

// newMetrics serves registries of its own: the master's Go runtime is not what is measured,
// and a global registry could be added to by any package of the application.
func newMetrics(o Options, at net.Addr, shed *atomic.Uint64) http.Handler {
	self := &selfMetrics{shed: shed}
	var all prometheus.Gatherers
	if o.App != nil {
		// First, so that what went wrong with it is counted in the same scrape. The two views
		// below share its gatherings: guarded turns away who comes during one.
		all = append(all, prometheus.GathererFunc(shareAll(guarded(o.App.Gather, &self.appErrors), &self.appErrors)))
	}
	plain := exposition(all, newCollector(o.Source, families(self)), self)
	both := exposition(all, newCollector(o.Source, slices.Concat(families(self), exporterFamilies(at))), self)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &whole{ResponseWriter: w, status: http.StatusOK}
		made := making(r) // the application may take its time
		if r.URL.Query().Get("compat") == exporter {
			both.ServeHTTP(answer, r)
		} else {
			plain.ServeHTTP(answer, r)
		}
		made()
		answer.send()
	})
}

// selfMetrics are the endpoint's own numbers.
type selfMetrics struct {
	shed      *atomic.Uint64
	appErrors atomic.Uint64
}

// exposition is one view of all metrics, in whatever format a client asks for.
func exposition(others prometheus.Gatherers, own prometheus.Collector, self *selfMetrics) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(own)
	gather := slices.Concat(others, prometheus.Gatherers{reg}).Gather
	return promhttp.HandlerFor(prometheus.GathererFunc(shareAll(gather, &self.appErrors)), promhttp.HandlerOpts{
		ErrorHandling:      promhttp.ContinueOnError, // what could be gathered is served
		DisableCompression: true,                     // the way is short, and the CPU is the master's
		EnableOpenMetrics:  true,
	})
}

// shareAll lets scrapes that come together have one gathering. Each gets a slice of its
// own, because promhttp filters it in place when it is asked for a few names. An error is
// the application's: two families of it that do not go together, say.
func shareAll[F any](gather func() ([]F, error), errors *atomic.Uint64) func() ([]F, error) {
	s := newShared(func() ([]F, error) {
		all, err := gather()
		if err != nil {
			errors.Add(1)
		}
		return all, nil
	})
	return func() ([]F, error) {
		all, err := s.get()
		return slices.Clone(all), err
	}
}

// whole keeps an answer until it is complete, so that gathering and encoding are over
// before the first byte has to wait for a slow reader.
type whole struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *whole) WriteHeader(status int) { w.status = status }

func (w *whole) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *whole) send() {
	w.Header().Set("Content-Length", strconv.Itoa(w.body.Len()))
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(w.body.Bytes()) // the client's trouble, not ours
}
