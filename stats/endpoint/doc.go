// Package endpoint serves a stats.Source to whoever can connect: uWSGI's JSON at / and
// /stats, the Prometheus text format at /metrics.
//
//	GET /         uwsgitop, uwsgi_exporter, ostler status
//	GET /metrics  Prometheus
//
// It promises: a client that is slow, silent or hostile costs a bounded amount of memory
// for a bounded time and never delays the source; nothing can be changed through it; no
// other web page may read it. It does not know what the numbers mean, nor who collects
// them.
package endpoint
