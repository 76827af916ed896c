// Package endpoint serves a stats.Source to whoever can connect, in the dialect he speaks.
//
//	nothing for a moment  ─▶ uWSGI's JSON and a close: uwsgi --connect-and-read, uwsgitop
//	GET / /stats          ─▶ the same over http: uwsgi_exporter, telegraf, ostler status
//	GET /metrics          ─▶ Prometheus and OpenMetrics, with those of the application
//	GET /workers          ─▶ the workers of the JSON alone
//	GET /healthz /readyz  ─▶ 200 or 503: whether to restart it, whether to send it requests
//
// It promises: a client that is slow, silent or hostile costs a bounded amount of memory
// for a bounded time, delays the source never and other clients hardly; nothing can be
// changed through it; no other web page may read it; whatever the application's metrics
// are, a scrape gets the server's. It does not know what the numbers mean, nor who
// collects them.
package endpoint
