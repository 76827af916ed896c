package server

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/appmetrics"
)

// GaugeMerge is how the values that a gauge has in several workers become one.
type GaugeMerge = appmetrics.Merge

const (
	GaugeSum       = appmetrics.Sum       // the default: open connections, items in a queue
	GaugeMax       = appmetrics.Max       // the worst or the latest: a lag, a timestamp
	GaugeMin       = appmetrics.Min       // the oldest: a start time
	GaugeLast      = appmetrics.Last      // of the worker that was started last: a setting
	GaugePerWorker = appmetrics.PerWorker // a series for each worker, with the label worker="N"
)

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
