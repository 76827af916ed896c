package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// countOfRequests is everything that must grow by the number of requests that were answered.
// The first sample of each has to be 0.
func countOfRequests() []string {
	return []string{
		`ostler_requests_total{app="echo",code="2xx"}`,
		`sum(ostler_worker_requests_total)`,
		`sum(uwsgi_worker_requests_total)`,
		`ostler_request_duration_seconds_count{app="echo"}`,
	}
}

// Ten reloads under load and five kill -9, seen through a real Prometheus: increase() is what
// the clients counted. A worker is killed while no request runs: what a killed one was
// doing was sent, but neither answered nor finished, and no count of it would be right.
func TestPrometheusCountsEveryRequest(t *testing.T) {
	t.Parallel()
	servertest.Peer(t, "prometheus") // before the rest is started
	addr := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	i := servertest.Launch(t, fmt.Sprintf("stats = %q\n", addr)+echoing)
	p := startPrometheus(t, addr)
	for _, c := range countOfRequests() {
		i.Until(c+" is in Prometheus, at 0", func() bool { return p.last(t, c) == 0 })
	}
	began := p.known(t, i, "timestamp(ostler_generation)")
	rt := i.HTTP("http").Transport
	var answered int64
	reloads := soaking(4, 10)
	for round := range reloads {
		load := servertest.Run(t, 2, servertest.Echo(rt, "http://site/"))
		i.Until("requests are answered", func() bool { return load.Done() > 20 })
		if out, code := i.Command("reload"); code != 0 {
			t.Fatalf("reload %d: %s", round+1, out)
		}
		load.MustLoseNothing()
		answered += load.Done()
		if round%2 == 0 {
			kill(t, i, addr, round%4/2)
		}
	}
	for _, c := range countOfRequests() {
		i.Until(c+" has reached what was answered", func() bool { return p.last(t, c) >= float64(answered) })
	}
	p.oneMore(t, i) // and does not pass it
	for _, c := range countOfRequests() {
		if got := p.known(t, i, c); got != float64(answered) {
			t.Errorf("%s is %v after %d answers", c, got, answered)
		}
	}
	p.mustHaveGrown(t, i, began, float64(answered))
	if got := p.known(t, i, `sum(ostler_worker_restarts_total{reason="signal"})`); got != float64(reloads/2) {
		t.Errorf("%v workers were killed, want %d", got, reloads/2)
	}
	if got := p.known(t, i, `ostler_reloads_total{result="ok"}`); got != float64(reloads) {
		t.Errorf("%v reloads, want %d", got, reloads)
	}
}

// kill ends a worker that does nothing and waits for its successor.
func kill(t *testing.T, i *servertest.Instance, addr string, worker int) {
	t.Helper()
	idle := func(s stats.Snapshot) bool { return s.Ready == 2 && busy(s) == 0 }
	var pid int
	i.Until("every worker is there and idle", func() bool {
		s, err := stats.Fetch(t.Context(), addr)
		if err != nil || !idle(s) {
			return false
		}
		pid = s.Workers[worker].PID
		return true
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.Until("the killed one has a successor", func() bool {
		s, err := stats.Fetch(t.Context(), addr)
		return err == nil && idle(s) && s.Workers[worker].PID != pid
	})
}

// prometheus is a running one.
type prometheus struct{ api string }

// startPrometheus runs a real Prometheus that scrapes addr twice a second.
func startPrometheus(t *testing.T, addr string) prometheus {
	t.Helper()
	dir := servertest.Dir(t)
	config := fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: ostler
    params: {compat: [uwsgi_exporter]}
    static_configs: [{targets: [%q]}]
`, addr)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	cmd := exec.Command(servertest.Peer(t, "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address="+listen, "--log.level=warn")
	said, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		said.Close()
		if text, _ := os.ReadFile(said.Name()); t.Failed() {
			t.Logf("prometheus said:\n%.4096s", text)
		}
	})
	return prometheus{api: "http://" + listen + "/api/v1/query?"}
}

// sample is a value and its time, in seconds of the epoch.
type sample struct{ at, value float64 }

// query asks for an instant. at 0 is now. No answer is no sample: the server may not listen
// yet, and an expression may match nothing.
func (p prometheus) query(t *testing.T, expr string, at float64) []sample {
	t.Helper()
	v := url.Values{"query": {expr}}
	if at != 0 {
		v.Set("time", strconv.FormatFloat(at, 'f', 3, 64))
	}
	resp, err := http.Get(p.api + v.Encode())
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusServiceUnavailable { // it is starting
		return nil
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("prometheus: %s: %s: %s", expr, resp.Status, body)
	}
	var all []sample
	for _, r := range answer.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			t.Fatalf("prometheus: %s: %v", expr, err)
		}
		all = append(all, sample{r.Value[0].(float64), value})
	}
	return all
}

// one is the value of an expression that has one, and NaN if it has none.
func (p prometheus) one(t *testing.T, expr string, at float64) float64 {
	t.Helper()
	all := p.query(t, expr, at)
	switch len(all) {
	case 0:
		return math.NaN()
	case 1:
		return all[0].value
	}
	t.Fatalf("prometheus: %s has %d values", expr, len(all))
	return 0
}

func (p prometheus) last(t *testing.T, expr string) float64 { t.Helper(); return p.one(t, expr, 0) }

// known waits for a value: after a scrape that took too long there is none until the next.
func (p prometheus) known(t *testing.T, i *servertest.Instance, expr string) (value float64) {
	t.Helper()
	i.Until(expr+" is known", func() bool {
		value = p.last(t, expr)
		return !math.IsNaN(value)
	})
	return value
}

// newest is when a series was scraped last.
func (p prometheus) newest(t *testing.T, series string) float64 {
	t.Helper()
	return p.last(t, "timestamp("+series+")")
}

// oneMore waits for a scrape that begins after now.
func (p prometheus) oneMore(t *testing.T, i *servertest.Instance) {
	t.Helper()
	now := float64(time.Now().UnixMilli()) / 1e3
	i.Until("one scrape more", func() bool { return p.newest(t, "ostler_generation") > now })
}

// mustHaveGrown asks Prometheus itself. increase() extrapolates to the ends of its range, but
// not beyond what it can: the range here ends with the newest sample, so there is nothing to
// add at its end; it begins just before a sample, and with a value of 0 a counter
// cannot have grown before that. So it is exact, and equality is asked for.
func (p prometheus) mustHaveGrown(t *testing.T, i *servertest.Instance, began, by float64) {
	t.Helper()
	ended := p.known(t, i, "timestamp(ostler_generation)")
	window := fmt.Sprintf("[%dms]", int64(math.Round((ended-began)*1e3))+1) // Prometheus 3 leaves the very beginning out
	for _, c := range countOfRequests() {
		series := strings.TrimSuffix(strings.TrimPrefix(c, "sum("), ")")
		got := p.one(t, "sum(increase("+series+window+"))", ended)
		if math.Abs(got-by) > 1e-6*by {
			t.Errorf("increase(%s%s) is %v after %v answers", series, window, got, by)
		}
		if n := p.one(t, "sum(resets("+series+window+"))", ended); n != 0 {
			t.Errorf("%s went backwards %v times", series, n)
		}
		t.Logf("increase(%s%s) = %v", series, window, got)
	}
}
