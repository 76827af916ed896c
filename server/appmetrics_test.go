package server_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// counting is an app that counts its requests, in a registry of its own. /stall makes the
// collectors of the worker that answers slow, /break makes one panic.
func counting() server.App {
	r := prom.NewRegistry()
	var stall, broken atomic.Bool
	return server.App{Name: "counts", Gatherer: r, Gauges: map[string]server.GaugeMerge{"app_pid*": server.GaugePerWorker},
		New: func(context.Context) (http.Handler, error) {
			hits := prom.NewCounter(prom.CounterOpts{Name: "app_hits_total", Help: "Requests."})
			took := prom.NewHistogram(prom.HistogramOpts{Name: "app_took_seconds", Help: "Took.", NativeHistogramBucketFactor: 1.1, Buckets: prom.DefBuckets})
			up := prom.NewGauge(prom.GaugeOpts{Name: "app_up", Help: "Processes."})
			up.Set(1)
			pid := prom.NewGauge(prom.GaugeOpts{Name: "app_pid_number", Help: "Of the process."})
			pid.Set(float64(os.Getpid()))
			reserved := prom.NewCounter(prom.CounterOpts{Name: "ostler_requests_total", Help: "Not the app's."})
			r.MustRegister(hits, took, up, pid, reserved, trouble{"app_slow", func() {
				if stall.Load() {
					time.Sleep(10 * time.Second)
				}
			}}, trouble{"app_broken", func() {
				if broken.Load() {
					panic("the collector's own words")
				}
			}})
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				switch req.URL.Path {
				case "/stall":
					stall.Store(true)
				case "/break":
					broken.Store(true)
				}
				hits.Inc()
				took.Observe(0.002)
				_, _ = io.WriteString(w, "counted")
			}), nil
		}}
}

// trouble is a collector that does something before it collects.
type trouble struct {
	name string
	do   func()
}

func (c trouble) desc() *prom.Desc              { return prom.NewDesc(c.name, "x", nil, nil) }
func (c trouble) Describe(ch chan<- *prom.Desc) { ch <- c.desc() }
func (c trouble) Collect(ch chan<- prom.Metric) {
	c.do()
	ch <- prom.MustNewConstMetric(c.desc(), prom.GaugeValue, 1)
}

const counted = `
module = "counts"
processes = 4
threads = 4
http-socket = "$DIR/http"
control = "$DIR/control"
`

// scrape is one look at the page that startPrometheus scrapes too.
type scrape map[string]float64

// look looks until there is an answer: a client that is slow, as this one may be on a busy
// machine, gets the stats in another dialect.
func look(t *testing.T, i *servertest.Instance, addr string) (s scrape) {
	t.Helper()
	rt := i.HTTP(addr).Transport
	i.Until("the metrics are answered", func() (ok bool) {
		s, ok = tryLook(rt)
		return ok
	})
	return s
}

func tryLook(rt http.RoundTripper) (s scrape, ok bool) {
	resp, err := rt.RoundTrip(must(http.NewRequest(http.MethodGet, "http://stats/metrics?compat=uwsgi_exporter", nil)))
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, false
	}
	s = scrape{}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		s[name] = must(strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64))
	}
	return s, true
}

// hit is a request for servertest.Run.
func hit(rt http.RoundTripper) func() error {
	return func() error {
		resp, err := rt.RoundTrip(must(http.NewRequest(http.MethodGet, "http://site/", nil)))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "counted" {
			return fmt.Errorf("%s: %q, %v", resp.Status, body, err)
		}
		return nil
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// watchApp looks without end, and fails when a total is less than it was.
func watchApp(t *testing.T, i *servertest.Instance, addr string) (stop func()) {
	quit := make(chan struct{})
	var watching sync.WaitGroup
	rt, looks := i.HTTP(addr).Transport, 0
	watching.Go(func() {
		last := scrape{}
		for open := true; open; {
			select {
			case <-quit:
				open = false
			default:
			}
			now, ok := tryLook(rt)
			if !ok {
				continue
			}
			looks++
			for name, v := range last {
				if now[name] < v && (strings.HasPrefix(name, "app_hits") || strings.HasPrefix(name, "app_took")) {
					t.Errorf("%s went from %v back to %v", name, v, now[name])
				}
			}
			last = now
		}
	})
	return func() {
		close(quit)
		watching.Wait()
		if t.Logf("%d looks", looks); looks < 20 {
			t.Errorf("only %d looks at the totals", looks)
		}
	}
}

// The app's own counter over four workers, ten reloads under load and five kill -9 of idle
// workers that a scrape has heard: never back, and exact, for us and for a real Prometheus.
func TestAppCountersAreExactOverReloadsAndKills(t *testing.T) {
	t.Parallel()
	servertest.Peer(t, "prometheus")
	addr := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	i := servertest.Launch(t, fmt.Sprintf("stats = %q\n", addr)+counted)
	p := startPrometheus(t, addr)
	i.Until("the counter is in Prometheus, at 0", func() bool { return p.last(t, "app_hits_total") == 0 })
	began := p.newest(t, "app_hits_total")
	stop := watchApp(t, i, addr)
	rt := i.HTTP("http").Transport
	var answered int64
	for round := range soaking(4, 10) {
		load := servertest.Run(t, 2, hit(rt))
		i.Until("requests are answered", func() bool { return load.Done() > 50 })
		if out, code := i.Command("reload"); code != 0 {
			t.Fatalf("reload %d: %s", round+1, out)
		}
		load.MustLoseNothing()
		answered += load.Done()
		if round%2 == 0 {
			killHeard(t, i, addr, round%4, float64(answered))
		}
	}
	i.Until("everything is told, and the workers of the last reload are gone", func() bool {
		s := look(t, i, addr)
		return s["app_hits_total"] >= float64(answered) && s["ostler_app_metrics_workers"] == 4
	})
	stop()
	s := look(t, i, addr)
	for _, name := range []string{"app_hits_total", "app_took_seconds_count", `app_took_seconds_bucket{le="0.005"}`} {
		if s[name] != float64(answered) {
			t.Errorf("%s is %v after %d answers", name, s[name], answered)
		}
	}
	if s["app_up"] != 4 || s["ostler_app_metrics_workers"] != 4 {
		t.Errorf("gauges of %v processes are summed, %v workers are held, want 4", s["app_up"], s["ostler_app_metrics_workers"])
	}
	p.oneMore(t, i)
	if got := p.last(t, "app_hits_total"); got != float64(answered) {
		t.Errorf("Prometheus has %v after %d answers", got, answered)
	}
	ended := p.newest(t, "app_hits_total")
	window := fmt.Sprintf("[%dms]", int64(math.Round((ended-began)*1e3))+1)
	if got := p.one(t, "increase(app_hits_total"+window+")", ended); math.Abs(got-float64(answered)) > 1e-6*float64(answered) {
		t.Errorf("increase(app_hits_total%s) is %v after %d answers", window, got, answered)
	}
}

// killHeard kills a worker that is idle and has told what it counted.
func killHeard(t *testing.T, i *servertest.Instance, addr string, worker int, told float64) {
	t.Helper()
	idle := func() (s stats.Snapshot, ok bool) {
		s, err := stats.Fetch(t.Context(), addr)
		return s, err == nil && s.Ready == 4 && busy(s) == 0
	}
	var pid int
	i.Until("every worker is there, is idle and has told", func() bool {
		s, ok := idle()
		if ok = ok && look(t, i, addr)["app_hits_total"] >= told; ok {
			pid = s.Workers[worker].PID
		}
		return ok
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.Until("the killed one has a successor", func() bool {
		s, ok := idle()
		return ok && s.Workers[worker].PID != pid
	})
}

// A collector that takes ten seconds and one that panics cost themselves: the scrape comes
// in its time with everything else.
func TestBadCollectorsCostThemselves(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, strings.Replace(counted, "processes = 4", "processes = 2", 1), apps()...)
	rt := i.HTTP("http").Transport
	for range 20 {
		if err := hit(rt)(); err != nil {
			t.Fatal(err)
		}
	}
	if s := look(t, i, "stats"); s["app_hits_total"] != 20 || s["app_broken"] != 2 || s["app_slow"] != 2 {
		t.Errorf("before: %v hits, gauges %v and %v", s["app_hits_total"], s["app_broken"], s["app_slow"])
	}
	if code, _ := get(t, rt, "http://site/break"); code != http.StatusOK {
		t.Fatal(code)
	}
	i.Until("the worker that breaks has nothing to say there", func() bool { return look(t, i, "stats")["app_broken"] == 1 })
	if s := look(t, i, "stats"); s["app_hits_total"] != 21 || s["app_slow"] != 2 || s["ostler_workers_ready"] != 2 {
		t.Errorf("with one that panics: %v", s)
	}
	i.Until("the log has it", func() bool { return strings.Contains(i.Log(), "the collector's own words") })

	if code, _ := get(t, rt, "http://site/stall"); code != http.StatusOK {
		t.Fatal(code)
	}
	began := time.Now()
	s := look(t, i, "stats")
	if took := time.Since(began); took > 9*time.Second { // the collector takes ten
		t.Errorf("the scrape waited %v for a collector", took)
	}
	if s["app_hits_total"] < 21 || s["ostler_workers_ready"] != 2 {
		t.Errorf("with one that is slow: %v", s)
	}
	i.Until("the slow one's answer, too, is there in the end", func() bool { return look(t, i, "stats")["app_hits_total"] == 22 })
	if s := look(t, i, "stats"); s["ostler_app_metrics_dropped_total{reason=\"reserved_name\"}"] == 0 {
		t.Error("an app may count what is the server's")
	}
}

// The gauges that are kept apart have the number of their worker.
func TestAGaugeForEachWorker(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, counted, apps()...)
	s, seen := look(t, i, "stats"), i.Stats()
	for _, w := range seen.Workers {
		name := fmt.Sprintf("app_pid_number{worker=%q}", strconv.Itoa(w.ID))
		if s[name] != float64(w.PID) {
			t.Errorf("%s is %v, want %d", name, s[name], w.PID)
		}
	}
}

// Without a master the registry is read where it is.
func TestSingleProcessShowsTheAppsMetrics(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, "master = false\nmodule = \"counts\"\nthreads = 2\nhttp-socket = \"$DIR/http\"\n")
	for range 5 {
		if err := hit(i.HTTP("http").Transport)(); err != nil {
			t.Fatal(err)
		}
	}
	s := look(t, i, "stats")
	_, theirs := s["ostler_requests_total"] // ours has labels
	if s["app_hits_total"] != 5 || s["app_pid_number"] != float64(i.PID()) || theirs {
		t.Errorf("hits %v, pid %v of %d, a reserved name is there: %v", s["app_hits_total"], s["app_pid_number"], i.PID(), theirs)
	}
}

// The registry that everybody has if nothing is said: Go's own numbers, of all workers.
func TestTheDefaultRegistryIsShown(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, echoing, apps()...)
	s := look(t, i, "stats")
	if s["go_goroutines"] < 2 || s["process_resident_memory_bytes"] == 0 {
		t.Errorf("goroutines %v, memory %v", s["go_goroutines"], s["process_resident_memory_bytes"])
	}
	for name, v := range s {
		if strings.HasPrefix(name, "go_info{") && v != 1 {
			t.Errorf("%s is %v, the processes are of one version", name, v)
		}
	}
}
