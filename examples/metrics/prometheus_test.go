package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// peer is a running Prometheus.
type peer struct {
	t   *testing.T
	api string
}

// startPrometheus runs a real Prometheus from the file of this folder, which asks addr and
// each second instead of every 15.
func startPrometheus(t *testing.T, addr string) peer {
	t.Helper()
	program, dir := servertest.Peer(t, "prometheus"), servertest.Dir(t)
	for name, text := range map[string]string{
		"prometheus.yml": replaced(t, "prometheus.yml", "127.0.0.1:9191", addr, ": 15s", ": 1s"),
		"alerts.yml":     replaced(t, "alerts.yml"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	cmd := exec.Command(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+listen, "--log.level=warn")
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
	return peer{t: t, api: "http://" + listen + "/api/v1/"}
}

// get asks the API. It is false while Prometheus does not answer yet; a query that it refuses
// is a failure.
func (p peer) get(what string, data any) bool {
	p.t.Helper()
	resp, err := http.Get(p.api + what)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusServiceUnavailable { // it is starting
		return false
	}
	answer := struct{ Data any }{data}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("prometheus: %s: %s: %s", what, resp.Status, body)
	}
	return true
}

// has reports whether an expression gives anything that is a number.
func (p peer) has(expr string) bool {
	p.t.Helper()
	var answer struct{ Result []struct{ Value [2]any } }
	p.get("query?"+url.Values{"query": {expr}}.Encode(), &answer)
	return slices.ContainsFunc(answer.Result, func(r struct{ Value [2]any }) bool { return r.Value[1] != "NaN" })
}

// firing is the names of the alerts that fire, sorted. It is nil until every rule was evaluated.
func (p peer) firing() []string {
	p.t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	p.get("rules", &answer)
	names := []string{}
	for _, g := range answer.Groups {
		for _, r := range g.Rules {
			switch {
			case r.Health == "err":
				p.t.Fatalf("rule %s: %s", r.Name, r.LastError)
			case r.Health != "ok":
				return nil
			case r.State == "firing":
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// quietPanels have nothing to show while all is well.
func quietPanels() []string {
	return []string{`rejected_total`, `exceptions_total`, `metrics_dropped_total`, `restarts_total`, `code="5xx"`, `changes(`, `queue_wait_seconds`}
}

// The shop under a real Prometheus: every panel has data, no alert fires while all is well, and
// what goes wrong is told.
func TestPrometheusShowsAndTells(t *testing.T) {
	t.Parallel()
	servertest.Peer(t, "prometheus") // before the rest is started
	addr := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	i := servertest.Launch(t, replaced(t, "metrics.toml", "127.0.0.1:8000", "$DIR/http", "stats       = \"127.0.0.1:9191\"", fmt.Sprintf("stats = %q", addr)))
	p := startPrometheus(t, addr)
	rt := i.HTTP("http")
	i.Until("the first scrape", func() bool { return p.has("shop_pages_total") }) // so that what follows is an increase
	orders := servertest.Run(t, 2, page(rt, "POST", "/order/1", 200))
	for _, q := range shown(t) {
		if !slices.ContainsFunc(quietPanels(), func(quiet string) bool { return strings.Contains(q.expr, quiet) }) {
			i.Until(fmt.Sprintf("panel %q has data: %s", q.where, q.expr), func() bool { return p.has(q.expr) })
		} else {
			p.has(q.expr) // is no mistake
		}
	}
	orders.MustLoseNothing()
	t.Cleanup(func() { t.Logf("at the end there fire %q", p.firing()) }) // cleanups run backwards: before Prometheus ends
	i.Until("no alert fires", func() bool { f := p.firing(); return f != nil && len(f) == 0 })

	killOne(t, i, addr)
	i.Until("the crash is told", func() bool { return slices.Equal(p.firing(), []string{"OstlerWorkerCrashed"}) })
	i.Write(strings.Replace(i.Read("app.toml"), `"shop"`, `"shed"`, 1))
	if out, code := i.Command("reload"); code != 1 {
		t.Fatalf("a program without the app was taken, or not tried: %d %s", code, out)
	}
	want := []string{"OstlerReloadFailed", "OstlerWorkerCrashed"}
	i.Until("the reload is told", func() bool { return slices.Equal(p.firing(), want) })
}

// killOne kills a worker and waits for its successor.
func killOne(t *testing.T, i *servertest.Instance, addr string) {
	t.Helper()
	s, err := stats.Fetch(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Workers[0].PID
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.Until("the killed worker has a successor", func() bool {
		s, err := stats.Fetch(t.Context(), addr)
		return err == nil && s.Ready == 2 && s.Workers[0].PID != old
	})
}
