package endpoint

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed17661985/ostler/stats"
)

// lines is the Prometheus text without its comments, as "name{labels}" to value.
func lines(t *testing.T, o Options, path string) map[string]string {
	t.Helper()
	res, body := asked(t, o, http.MethodGet, path)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", res.Status, body)
	}
	series := map[string]string{}
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			i := strings.LastIndexByte(line, ' ')
			series[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return series
}

func TestTheMetrics(t *testing.T) {
	got := lines(t, Options{Source: sample()}, "/metrics")
	for name, want := range map[string]string{
		`ostler_start_time_seconds`:                                      "1.5e+09",
		`ostler_ready`:                                                   "0", // worker 2 is missing
		`ostler_generation`:                                              "4",
		`ostler_workers`:                                                 "3",
		`ostler_workers_ready`:                                           "1",
		`ostler_worker_imbalance_ratio`:                                  "1.25",
		`ostler_reloads_total{result="ok"}`:                              "3",
		`ostler_reloads_total{result="rejected"}`:                        "2",
		`ostler_reloads_total{result="rolled_back"}`:                     "1",
		`ostler_last_reload_success`:                                     "0",
		`ostler_last_reload_timestamp_seconds`:                           "1.6500000015e+09",
		`ostler_requests_total{app="shop",code="2xx"}`:                   "18", // two mounts in one worker, one in another
		`ostler_requests_total{app="shop",code="5xx"}`:                   "3",
		`ostler_requests_total{app="shop",code="other"}`:                 "0",
		`ostler_requests_total{app="blog",code="1xx"}`:                   "0",
		`ostler_requests_total{app="",code="4xx"}`:                       "2",
		`ostler_exceptions_total{app="shop"}`:                            "3",
		`ostler_request_duration_seconds_bucket{app="shop",le="0.0005"}`: "0",
		`ostler_request_duration_seconds_bucket{app="shop",le="0.001"}`:  "21",
		`ostler_request_duration_seconds_bucket{app="shop",le="+Inf"}`:   "21",
		`ostler_request_duration_seconds_sum{app="shop"}`:                "1.5",
		`ostler_request_duration_seconds_count{app="blog"}`:              "0",
		`ostler_rejected_total{reason="queue_timeout"}`:                  "2",
		`ostler_workers_max`:                                             "6",
		`ostler_scalings_total{direction="up"}`:                          "5",
		`ostler_scalings_total{direction="down"}`:                        "4",
		`ostler_rejected_total{reason="too_large"}`:                      "3",
		`ostler_rejected_total{reason="malformed"}`:                      "0",
		`ostler_queue_wait_seconds_bucket{le="0.00025"}`:                 "4",
		`ostler_queue_wait_seconds_sum`:                                  "0.25",
		`ostler_queue_length{socket="127.0.0.1:80"}`:                     "3",
		`ostler_queue_length{socket="@ostler"}`:                          "0",
		`ostler_queue_limit{socket="@ostler"}`:                           "512",
		`ostler_queue_overflows_total`:                                   "8",
		`ostler_slots{worker="1"}`:                                       "2",
		`ostler_requests_in_flight{worker="1"}`:                          "1",
		`ostler_requests_in_flight{worker="2"}`:                          "0",
		`ostler_queued_requests{worker="1"}`:                             "5",
		`ostler_upgraded_connections{worker="1"}`:                        "7",
		`ostler_upgrades_total{worker="1"}`:                              "9",
		`ostler_receive_bytes_total{worker="1"}`:                         "300",
		`ostler_transmit_bytes_total{worker="1"}`:                        "400",
		`ostler_worker_requests_total{worker="1"}`:                       "21",
		`ostler_worker_busy_seconds_total{worker="1"}`:                   "1.5",
		`ostler_worker_up{worker="1"}`:                                   "1",
		`ostler_worker_up{worker="2"}`:                                   "0",
		`ostler_worker_ready{worker="1"}`:                                "1",
		`ostler_worker_generation{worker="1"}`:                           "4",
		`ostler_worker_heartbeat_age_seconds{worker="1"}`:                "0.25",
		`ostler_worker_start_time_seconds{worker="1"}`:                   "1.6e+09",
		`ostler_worker_spawns_total{worker="1"}`:                         "3",
		`ostler_worker_spawns_total{worker="2"}`:                         "1",
		`ostler_worker_restarts_total{reason="reload",worker="1"}`:       "2",
		`ostler_worker_restarts_total{reason="signal",worker="1"}`:       "1",
		`ostler_worker_restarts_total{reason="harakiri",worker="1"}`:     "0",
		`ostler_worker_cpu_seconds_total{mode="user",worker="1"}`:        "2",
		`ostler_worker_cpu_seconds_total{mode="system",worker="1"}`:      "1",
		`ostler_worker_resident_memory_bytes{worker="1"}`:                "1.048576e+06",
		`ostler_worker_virtual_memory_bytes{worker="1"}`:                 "1.073741824e+09",
		`ostler_worker_heap_bytes{worker="1"}`:                           "5.24288e+06",
		`ostler_worker_open_fds{worker="1"}`:                             "12",
		`ostler_worker_max_fds{worker="1"}`:                              "1024",
		`ostler_worker_threads{worker="1"}`:                              "9",
		`ostler_worker_goroutines{worker="1"}`:                           "33",
		`ostler_worker_gc_cycles_total{worker="1"}`:                      "17",
		`ostler_worker_gc_pause_seconds_total{worker="1"}`:               "0.003",
		`ostler_worker_gc_cpu_seconds_total{worker="1"}`:                 "0.04",
		`ostler_app_scrape_errors_total`:                                 "0",
		`ostler_stats_connections_shed_total`:                            "0",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	var build bool
	for name := range got {
		build = build || strings.HasPrefix(name, `ostler_build_info{build="a\"b\n",goversion="go`) && strings.HasSuffix(name, `version="0.1.0"}`)
		if strings.Contains(name, "4711") || strings.Contains(name, `worker="0"`) || !strings.HasPrefix(name, "ostler_") {
			t.Errorf("%s must not be there", name)
		}
	}
	if !build {
		t.Error("ostler_build_info is missing")
	}
}

// What uwsgi_exporter gives for the same server; its names are in dashboards.
func TestTheMetricsOfUWSGIExporter(t *testing.T) {
	got := lines(t, Options{Source: sample()}, "/metrics?compat=uwsgi_exporter")
	const uri = `stats_uri="tcp://127.0.0.1:9191"`
	for name, want := range map[string]string{
		`uwsgi_up{` + uri + `}`:                                                                                         "1",
		`uwsgi_listen_queue_length{` + uri + `}`:                                                                        "3",
		`uwsgi_listen_queue_errors{` + uri + `}`:                                                                        "8",
		`uwsgi_signal_queue_length{` + uri + `}`:                                                                        "0",
		`uwsgi_workers{` + uri + `}`:                                                                                    "2",
		`uwsgi_socket_queue_length{name="127.0.0.1:80",proto="http",` + uri + `}`:                                       "3",
		`uwsgi_socket_max_queue_length{name="@ostler",proto="uwsgi",` + uri + `}`:                                       "512",
		`uwsgi_socket_shared{name="127.0.0.1:80",proto="http",` + uri + `}`:                                             "1",
		`uwsgi_socket_can_offload{name="127.0.0.1:80",proto="http",` + uri + `}`:                                        "0",
		`uwsgi_worker_accepting{` + uri + `,worker_id="1"}`:                                                             "1",
		`uwsgi_worker_delta_requests{` + uri + `,worker_id="1"}`:                                                        "11",
		`uwsgi_worker_signal_queue_length{` + uri + `,worker_id="1"}`:                                                   "0",
		`uwsgi_worker_rss_bytes{` + uri + `,worker_id="1"}`:                                                             "1.048576e+06",
		`uwsgi_worker_vsz_bytes{` + uri + `,worker_id="1"}`:                                                             "1.073741824e+09",
		`uwsgi_worker_running_time_seconds{` + uri + `,worker_id="1"}`:                                                  "1.5",
		`uwsgi_worker_last_spawn_time_seconds{` + uri + `,worker_id="1"}`:                                               "1.6e+09",
		`uwsgi_worker_average_response_time_seconds{` + uri + `,worker_id="1"}`:                                         "0.071428",
		`uwsgi_worker_apps{` + uri + `,worker_id="1"}`:                                                                  "3",
		`uwsgi_worker_cores{` + uri + `,worker_id="1"}`:                                                                 "2",
		`uwsgi_worker_requests_total{` + uri + `,worker_id="1"}`:                                                        "21",
		`uwsgi_worker_exceptions_total{` + uri + `,worker_id="1"}`:                                                      "1",
		`uwsgi_worker_harakiri_count_total{` + uri + `,worker_id="1"}`:                                                  "0",
		`uwsgi_worker_signals_total{` + uri + `,worker_id="1"}`:                                                         "0",
		`uwsgi_worker_respawn_count_total{` + uri + `,worker_id="1"}`:                                                   "3",
		`uwsgi_worker_transmitted_bytes_total{` + uri + `,worker_id="1"}`:                                               "400",
		`uwsgi_worker_busy{` + uri + `,worker_id="1"}`:                                                                  "1",
		`uwsgi_worker_idle{` + uri + `,worker_id="1"}`:                                                                  "0",
		`uwsgi_worker_cheap{` + uri + `,worker_id="2"}`:                                                                 "1",
		`uwsgi_worker_app_startup_time_seconds{app_id="0",chdir="/srv/�",mountpoint="/shop",` + uri + `,worker_id="1"}`: "2",
		`uwsgi_worker_app_requests_total{app_id="2",chdir="",mountpoint="/store",` + uri + `,worker_id="1"}`:            "7",
		`uwsgi_worker_app_exceptions_total{app_id="0",chdir="",mountpoint="/shop",` + uri + `,worker_id="2"}`:           "1",
		`ostler_generation`: "4", // ours stay
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
}

func TestEveryMetricHasHelp(t *testing.T) {
	for _, f := range append(families(&selfMetrics{}), exporterFamilies(here())...) {
		if f.help == "" || !strings.ContainsAny(f.help[:1], "1ABCDEFGHIJKLMNOPQRSTUVWXYZ") || !strings.ContainsAny(f.help[len(f.help)-1:], ".?") {
			t.Errorf("%s: help %q", f.name, f.help)
		}
		if strings.HasSuffix(f.name, "_total") != (f.kind == counter) {
			t.Errorf("%s is a %s", f.name, f.kind)
		}
		for _, unit := range []string{"seconds", "bytes"} {
			if strings.Contains(f.name, "_"+unit) && !strings.Contains(strings.ToLower(f.help), unit) && strings.HasPrefix(f.name, ours) {
				t.Errorf("%s: %q does not say its unit", f.name, f.help)
			}
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	for k := gauge; k <= histogram; k++ {
		if strings.Contains(k.String(), " ") {
			t.Errorf("kind %d has no name", k)
		}
	}
}

func TestAWorkerWithoutNumbersIsStillThere(t *testing.T) {
	// A snapshot that nobody filled: no bounds, no buckets.
	got := lines(t, Options{Source: fixed{Workers: stats.List[stats.Worker]{{ID: 1, Apps: stats.List[stats.AppStats]{{Module: "a"}}}}}}, "/metrics")
	for _, name := range []string{`ostler_request_duration_seconds_count{app="a"}`, `ostler_queue_wait_seconds_count`, `ostler_slots{worker="1"}`} {
		if got[name] != "0" {
			t.Errorf("%s = %q", name, got[name])
		}
	}
}

func TestTheFormatIsTheClientsChoice(t *testing.T) {
	p := newPages(Options{Source: sample()}, here(), new(atomic.Uint64))
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4",
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited":                                            "application/vnd.google.protobuf",
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, r)
		if got := rec.Header().Get("Content-Type"); rec.Code != http.StatusOK || !strings.HasPrefix(got, want) {
			t.Errorf("Accept %q: %d, %s", accept, rec.Code, got)
		}
		if strings.Contains(want, "openmetrics") && !strings.HasSuffix(rec.Body.String(), "# EOF\n") {
			t.Errorf("no end: %q", rec.Body.String())
		}
	}
}

// app is an application's registry with one counter of that name.
func app(name string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "Of the application."})
	c.Add(5)
	reg.MustRegister(c)
	return reg
}

func TestTheApplicationsMetricsAreBesideOurs(t *testing.T) {
	got := lines(t, Options{Source: sample(), App: app("orders_total")}, "/metrics")
	if got["orders_total"] != "5" || got["ostler_generation"] != "4" || got["ostler_app_scrape_errors_total"] != "0" {
		t.Errorf("%v", got)
	}
}

// broken gives a good metric and an error.
type broken struct{ good, bad *prometheus.Desc }

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.good; ch <- b.bad }

func (b broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(b.good, prometheus.GaugeValue, 3)
	ch <- prometheus.NewInvalidMetric(b.bad, errors.New("no database"))
}

func TestWhatTheApplicationBreaksCostsWhatItConcerns(t *testing.T) {
	half := prometheus.NewRegistry()
	half.MustRegister(broken{prometheus.NewDesc("good", "Help.", nil, nil), prometheus.NewDesc("bad", "Help.", nil, nil)})
	for name, c := range map[string]struct {
		app  prometheus.Gatherer
		kept string // a series of the application that is there all the same
	}{
		"an error in one":     {half, "good"},
		"an error beside":     {prometheus.Gatherers{app("ostler_app_metrics_x_total"), half}, "ostler_app_metrics_x_total 5"},
		"a panic":             {prometheus.Gatherers{nil}, ""},
		"a name of ours":      {prometheus.Gatherers{app("ostler_generation"), app("orders_total")}, "orders_total"},
		"a name ours becomes": {prometheus.Gatherers{app("ostler_request_duration_seconds_count"), app("orders_total")}, "orders_total"},
		"the same one twice":  {prometheus.Gatherers{app("orders_total"), app("orders_total")}, "orders_total"},
		"a name of uwsgi's":   {prometheus.Gatherers{app("uwsgi_workers"), app("orders_total")}, "orders_total"},
	} {
		o := Options{Source: sample(), App: c.app}
		path := "/metrics"
		if strings.HasPrefix(name, "a name of uwsgi") {
			path += "?compat=uwsgi_exporter"
		}
		p := newPages(o, here(), new(atomic.Uint64))
		var got string
		for range 2 { // what is found when all is put together counts in the next scrape
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
			if got = rec.Body.String(); rec.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", name, rec.Code, got)
			}
		}
		if !strings.Contains(got, "\nostler_generation 4\n") || !strings.Contains(got, "\n"+c.kept) {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Contains(got, "\nostler_app_scrape_errors_total 0\n") {
			t.Errorf("%s: not counted", name)
		}
	}
}

// Two views, one application: who asks for the one must not cost the other its metrics.
func TestBothViewsHaveTheApplicationAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside, release := make(chan struct{}, 2), make(chan struct{})
		slow := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			inside <- struct{}{}
			<-release
			return app("orders_total").Gather()
		})
		p := newPages(Options{Source: sample(), App: slow}, here(), new(atomic.Uint64))
		bodies := make(chan string, 2)
		for _, path := range []string{"/metrics", "/metrics?compat=uwsgi_exporter"} {
			go func() {
				rec := httptest.NewRecorder()
				p.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
				bodies <- rec.Body.String()
			}()
			synctest.Wait() // the first is being made when the second asks
		}
		<-inside
		close(release)
		for range 2 {
			if body := <-bodies; !strings.Contains(body, "\norders_total 5\n") || !strings.Contains(body, "\nostler_app_scrape_errors_total 0\n") {
				t.Errorf("%s", body)
			}
		}
	})
}
