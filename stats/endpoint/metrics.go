package endpoint

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed17661985/ostler/stats"
)

// metrics serves a registry of its own: the master's Go runtime is not what is measured,
// and a global registry could be added to by any package of the application.
func metrics(src stats.Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(src))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: maxConns})
}

// collector makes all metrics of one scrape from one snapshot, so that they agree.
// A worker is labelled by its slot, never by its pid: a pid would start a new series at
// each reload.
type collector struct {
	src stats.Source

	build, generation, workers, ready        *prometheus.Desc // of the whole
	slots, inFlight, upgraded, memory        *prometheus.Desc // of a worker, going up and down
	requests, duration, exceptions, rejected *prometheus.Desc // of a worker, only growing
	upgrades, received, transmitted          *prometheus.Desc
	respawns                                 *prometheus.Desc
}

func newCollector(src stats.Source) *collector {
	whole := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ostler_"+name, help, labels, nil)
	}
	worker := func(name, help string, labels ...string) *prometheus.Desc {
		return whole(name, help, append([]string{"worker"}, labels...)...)
	}
	return &collector{
		src: src,

		build:      whole("build_info", "Always 1; the versions are in the labels.", "version", "build"),
		generation: whole("generation", "The generation that is live; each successful reload raises it."),
		workers:    whole("workers", "Workers that should serve requests."),
		ready:      whole("workers_ready", "Workers that serve requests."),

		slots:    worker("slots", "Request slots of the worker."),
		inFlight: worker("requests_in_flight", "Requests being handled."),
		upgraded: worker("upgraded_connections", "Open connections that are no requests any more, such as websockets."),
		memory:   worker("worker_resident_memory_bytes", "Resident memory of the worker's process, in bytes."),

		requests:    worker("worker_requests_total", "Requests handled, by class of the answer's status.", "code"),
		duration:    worker("worker_request_duration_seconds", "Time a request held its slot, in seconds."),
		exceptions:  worker("worker_exceptions_total", "Requests whose handler panicked."),
		rejected:    worker("worker_rejected_total", "Requests answered 503 because no slot came free in time."),
		upgrades:    worker("worker_upgrades_total", "Connections that were upgraded, to websockets for example."),
		received:    worker("worker_receive_bytes_total", "Bytes received from clients or the front end."),
		transmitted: worker("worker_transmit_bytes_total", "Bytes sent, heads included."),
		respawns:    worker("worker_respawns_total", "Times a process was started for the worker, the first included."),
	}
}

// Describe lets the registry find a clash of names when it is made, not at a scrape.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.build, c.generation, c.workers, c.ready,
		c.slots, c.inFlight, c.upgraded, c.memory,
		c.requests, c.duration, c.exceptions, c.rejected,
		c.upgrades, c.received, c.transmitted, c.respawns,
	} {
		ch <- d
	}
}

// Collect takes one snapshot.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.src.Snapshot()
	gauge(ch, c.build, 1, s.Ostler, s.Build)
	gauge(ch, c.generation, float64(s.Generation))
	gauge(ch, c.workers, float64(s.Wanted()))
	gauge(ch, c.ready, float64(s.Ready))
	for i := range s.Workers {
		// A worker that was never spawned has id 0, and there may be several of them.
		if w := &s.Workers[i]; w.ID != 0 {
			c.worker(ch, w)
		}
	}
}

func (c *collector) worker(ch chan<- prometheus.Metric, w *stats.Worker) {
	id := strconv.Itoa(w.ID)
	gauge(ch, c.slots, float64(len(w.Cores)), id)
	gauge(ch, c.inFlight, float64(len(w.InFlight)), id)
	gauge(ch, c.upgraded, float64(w.Upgraded), id)
	gauge(ch, c.memory, float64(w.RSS), id)

	counter(ch, c.exceptions, w.Exceptions, id)
	counter(ch, c.rejected, w.Rejected, id)
	counter(ch, c.upgrades, w.Upgrades, id)
	counter(ch, c.received, w.Rx, id)
	counter(ch, c.transmitted, w.Tx, id)
	counter(ch, c.respawns, w.RespawnCount, id)

	n := w.StatusCodes
	counter(ch, c.requests, n.Informational, id, "1xx")
	counter(ch, c.requests, n.Successful, id, "2xx")
	counter(ch, c.requests, n.Redirection, id, "3xx")
	counter(ch, c.requests, n.ClientError, id, "4xx")
	counter(ch, c.requests, n.ServerError, id, "5xx")
	counter(ch, c.requests, n.Other, id, "other")
	histogram(ch, c.duration, w, id)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// histogram counts from the buckets, not from Requests: the two are read a moment apart,
// and a histogram whose +Inf is less than a bucket is refused.
func histogram(ch chan<- prometheus.Metric, d *prometheus.Desc, w *stats.Worker, id string) {
	var count uint64
	buckets := make(map[float64]uint64, len(w.Latency.Bounds))
	for i, n := range w.Latency.Buckets {
		count += n
		if i < len(w.Latency.Bounds) { // the last bucket has no bound
			buckets[float64(w.Latency.Bounds[i])/1e6] = count
		}
	}
	ch <- prometheus.MustNewConstHistogram(d, count, float64(w.RunningTime)/1e6, buckets, id)
}
