package server

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/appmetrics"
	"github.com/seed17661985/ostler/worker/control"
)

// GaugeMerge is how the values that a gauge has in several workers become one.
type GaugeMerge = appmetrics.Merge

// The ways to merge a gauge.
const (
	GaugeSum       = appmetrics.Sum       // the default: open connections, items in a queue
	GaugeMax       = appmetrics.Max       // the worst or the latest: a lag, a timestamp
	GaugeMin       = appmetrics.Min       // the oldest: a start time
	GaugeLast      = appmetrics.Last      // of the worker that was started last: a setting
	GaugePerWorker = appmetrics.PerWorker // a series for each worker, with the label worker="N"
)

// scrapeLimit bounds what a scrape waits for the applications. Prometheus itself
// waits ten seconds, unless it was told otherwise.
const scrapeLimit = 3 * time.Second

// registries gathers from what the apps that cfg serves have, each registry once.
func registries(apps []App, cfg config.Config) *appmetrics.Collector {
	var sources []appmetrics.Source
	for _, place := range appsOf(cfg) {
		if app, err := findApp(apps, place.Name); err == nil {
			sources = append(sources, appmetrics.Source{
				Gatherer: cmp.Or(app.Gatherer, prometheus.DefaultGatherer), Rules: app.Gauges,
			})
		}
	}
	return appmetrics.NewCollector(sources...)
}

// dump is worker.Service.Metrics.
func dump(c *appmetrics.Collector) func(context.Context) ([]byte, bool, error) {
	return func(ctx context.Context) ([]byte, bool, error) { return c.Dump(ctx, control.MaxMetrics) }
}

// ownMetrics is for a process without a master: what its registries have, as it is.
func ownMetrics(c *appmetrics.Collector) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
		defer cancel()
		return c.Gather(ctx)
	})
}

// fleetMetrics is what the applications of all workers count. It is nil when
// nobody can see it.
type fleetMetrics struct{ store *appmetrics.Store }

func newFleetMetrics(cfg config.Config) *fleetMetrics {
	if cfg.Stats.IsZero() {
		return nil
	}
	return &fleetMetrics{appmetrics.NewStore(appmetrics.Limits{})}
}

// restoreFleetMetrics goes on from what save gave in the program before, which is nothing
// where nobody could see it. It is of use even if there is an error, and begins at zero
// then: no master must stop for the sake of its metrics.
func restoreFleetMetrics(cfg config.Config, saved []byte) (*fleetMetrics, error) {
	f := newFleetMetrics(cfg)
	if f == nil || len(saved) == 0 {
		return f, nil
	}
	store, err := appmetrics.Restore(appmetrics.Limits{}, saved)
	if err != nil {
		return f, err
	}
	return &fleetMetrics{store}, nil
}

// save is for restoreFleetMetrics.
func (f *fleetMetrics) save() ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	return f.store.Save()
}

// asStore is nil, not an interface of nil, when there is none.
func (f *fleetMetrics) asStore() master.MetricsStore {
	if f == nil {
		return nil
	}
	return f
}

// gatherer asks the workers before it looks.
func (f *fleetMetrics) gatherer(m *master.Master) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
		defer cancel()
		m.GatherMetrics(ctx)
		return f.store.Gather()
	})
}

func (f *fleetMetrics) Put(process uint64, w, generation int, answer []byte, partial bool) error {
	return f.store.Put(appmetrics.Process{ID: process, Worker: w, Generation: generation}, answer, partial)
}

func (f *fleetMetrics) Retire(process uint64) { f.store.Retire(process) }
