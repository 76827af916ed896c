package endpoint

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/stats"
)

func ask(t *testing.T, method, path string) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler(sample()).ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestTheDocumentIsServed(t *testing.T) {
	for _, path := range []string{"/", "/stats", "/stats?x=y"} {
		res, body := ask(t, http.MethodGet, path)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, res.Status)
		}
		if got := res.Header["Content-Type"]; !reflect.DeepEqual(got, []string{"application/json"}) {
			t.Errorf("%s: Content-Type %q, uwsgi_exporter takes exactly application/json", path, got)
		}
		if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
			t.Errorf("%s: Content-Length %s of a body of %d", path, got, len(body))
		}
		var s stats.Snapshot
		if err := json.Unmarshal([]byte(body), &s); err != nil || s.Workers[0].Requests != 21 || s.Build != "a\"b\n" {
			t.Errorf("%s: %v, %+v", path, err, s)
		}
	}
}

func TestOnlyReadingIsPossible(t *testing.T) {
	for _, path := range []string{"/", "/stats", "/metrics", "/nothing"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "BREW"} {
			res, _ := ask(t, method, path)
			if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s, Allow %q", method, path, res.Status, res.Header.Get("Allow"))
			}
		}
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/stats/", "/statsx", "/metrics/", "/debug/pprof/", "/index.html"} {
		if res, _ := ask(t, http.MethodGet, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
}

func TestNoOtherPageMayReadIt(t *testing.T) {
	for _, path := range []string{"/", "/metrics"} {
		res, _ := ask(t, http.MethodGet, path)
		for name := range res.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("GET %s sends %s", path, name)
			}
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s may be taken for a page", path)
		}
	}
}

// exposition is the Prometheus text without its comments, as "name{labels}" to value.
func exposition(t *testing.T) map[string]string {
	t.Helper()
	res, body := ask(t, http.MethodGet, "/metrics")
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
	got := exposition(t)
	for name, want := range map[string]string{
		`ostler_build_info{build="a\"b\n",version="0.1.0"}`: "1",
		`ostler_generation`:                                                      "4",
		`ostler_workers`:                                                         "3",
		`ostler_workers_ready`:                                                   "1",
		`ostler_slots{worker="1"}`:                                               "2",
		`ostler_requests_in_flight{worker="1"}`:                                  "1",
		`ostler_requests_in_flight{worker="2"}`:                                  "0",
		`ostler_worker_resident_memory_bytes{worker="1"}`:                        "1.048576e+06",
		`ostler_worker_requests_total{code="1xx",worker="1"}`:                    "2",
		`ostler_worker_requests_total{code="2xx",worker="1"}`:                    "3",
		`ostler_worker_requests_total{code="3xx",worker="1"}`:                    "4",
		`ostler_worker_requests_total{code="4xx",worker="1"}`:                    "5",
		`ostler_worker_requests_total{code="5xx",worker="1"}`:                    "6",
		`ostler_worker_requests_total{code="other",worker="1"}`:                  "1",
		`ostler_worker_exceptions_total{worker="1"}`:                             "1",
		`ostler_worker_rejected_total{worker="1"}`:                               "2",
		`ostler_upgraded_connections{worker="1"}`:                                "7",
		`ostler_worker_upgrades_total{worker="1"}`:                               "9",
		`ostler_worker_receive_bytes_total{worker="1"}`:                          "300",
		`ostler_worker_transmit_bytes_total{worker="1"}`:                         "400",
		`ostler_worker_respawns_total{worker="1"}`:                               "3",
		`ostler_worker_respawns_total{worker="2"}`:                               "1",
		`ostler_worker_request_duration_seconds_bucket{worker="1",le="0.0001"}`:  "10",
		`ostler_worker_request_duration_seconds_bucket{worker="1",le="0.00025"}`: "10",
		`ostler_worker_request_duration_seconds_bucket{worker="1",le="0.0005"}`:  "15",
		`ostler_worker_request_duration_seconds_bucket{worker="1",le="60"}`:      "15",
		`ostler_worker_request_duration_seconds_bucket{worker="1",le="+Inf"}`:    "21",
		`ostler_worker_request_duration_seconds_sum{worker="1"}`:                 "1.5",
		`ostler_worker_request_duration_seconds_count{worker="1"}`:               "21",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	for name := range got {
		if strings.Contains(name, "4711") || strings.Contains(name, `worker="0"`) || !strings.HasPrefix(name, "ostler_") {
			t.Errorf("%s must not be there", name)
		}
	}
}

func TestEveryMetricHasHelp(t *testing.T) {
	_, body := ask(t, http.MethodGet, "/metrics")
	for line := range strings.Lines(body) {
		name, isType := strings.CutPrefix(line, "# TYPE ")
		if !isType {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if _, help, ok := strings.Cut(body, "# HELP "+name+" "); !ok || help[0] < 'A' || help[0] > 'Z' {
			t.Errorf("%s has no help", name)
		}
	}
}

func TestAWorkerWithoutNumbersIsStillAHistogram(t *testing.T) {
	// A snapshot that nobody filled: no bounds, no buckets.
	rec := httptest.NewRecorder()
	src := fixed{Workers: []stats.Worker{{ID: 1}}}
	Handler(src).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `ostler_worker_request_duration_seconds_count{worker="1"} 0`; rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) {
		t.Errorf("%d: %s", rec.Code, rec.Body)
	}
}
