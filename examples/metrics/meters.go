package main

import "github.com/prometheus/client_golang/prometheus"

// meters is everything the shop counts. The registry is its own: the default one also has
// go_* and process_* of each worker, which the server has already, by worker.
type meters struct {
	registry *prometheus.Registry

	pages      *prometheus.CounterVec
	payment    prometheus.Histogram
	inProgress prometheus.Gauge
	lastOrder  prometheus.Gauge
	items      prometheus.Gauge
	info       *prometheus.GaugeVec
}

func newMeters() *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_pages_total", Help: "Pages asked for, by page.",
		}, []string{"page"}),
		payment: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "shop_payment_duration_seconds", Help: "How long the bank took for a payment, in seconds.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}),
		inProgress: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shop_orders_in_progress", Help: "Orders that wait for the bank.",
		}),
		lastOrder: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shop_last_order_timestamp_seconds", Help: "When the last order was paid, in seconds since the epoch; 0 before the first.",
		}),
		items: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shop_catalog_items", Help: "Items in the catalog.",
		}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "shop_info", Help: "Always 1. The label says which catalog is for sale.",
		}, []string{"catalog"}),
	}
	m.registry.MustRegister(m.pages, m.payment, m.inProgress, m.lastOrder, m.items, m.info)
	return m
}
