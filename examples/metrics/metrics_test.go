package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

func TestMain(m *testing.M) { servertest.Main(m, app()) }

// replaced reads a file of this folder and puts other words for those that are shipped.
func replaced(t *testing.T, file string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("%s does not contain %s", file, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(text))
}

// launch runs the shop from its own file, with sockets in the instance's folder.
func launch(t *testing.T) *servertest.Instance {
	t.Helper()
	return servertest.Launch(t, replaced(t, "metrics.toml",
		"127.0.0.1:8000", "$DIR/http", "stats       = \"127.0.0.1:9191\"", "stats = \"$DIR/stats\""))
}

// families is what /metrics shows. A client that is slow with its request, as this one may be on
// a busy machine, gets the stats in another dialect, and asks again.
func families(t *testing.T, i *servertest.Instance) map[string]*dto.MetricFamily {
	t.Helper()
	client := i.HTTP("stats")
	var resp *http.Response
	i.Until("/metrics is answered over http", func() bool {
		var err error
		if resp, err = client.Get("http://stats/metrics"); err != nil && !strings.Contains(err.Error(), "malformed HTTP response") {
			t.Fatal(err)
		}
		return err == nil
	})
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s: %v", resp.Status, err)
	}
	return all
}

// page asks for one page and wants the status.
func page(client *http.Client, method, path string, status int) func() error {
	return func() error {
		req, err := http.NewRequest(method, "http://shop"+path, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != status {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return nil
	}
}

// pages is shop_pages_total by page.
func pages(all map[string]*dto.MetricFamily) map[string]int64 {
	n := map[string]int64{}
	for _, m := range all["shop_pages_total"].GetMetric() {
		n[m.GetLabel()[0].GetValue()] = int64(m.GetCounter().GetValue())
	}
	return n
}

// Each worker has its own numbers; what is shown is the sum, and a reload under load, which
// ends both processes, takes nothing from it and adds nothing.
func TestCountersOfAllWorkersAreTheRequestsSent(t *testing.T) {
	t.Parallel()
	i := launch(t)
	rt := i.HTTP("http")
	asked := []struct {
		page, method, path string
		status, clients    int
	}{
		{"front", "GET", "/", 200, 1}, {"item", "GET", "/item/2", 200, 1}, {"other", "GET", "/none", 404, 1},
		{"order", "POST", "/order/3", 200, 6}, // one worker has no slots for all of them
	}
	before := families(t, i)
	for _, a := range asked {
		if n, ok := pages(before)[a.page]; n != 0 || !ok {
			t.Errorf("page %s begins with %d (there: %v), want 0", a.page, n, ok)
		}
	}
	var loads []*servertest.Load
	for _, a := range asked {
		loads = append(loads, servertest.Run(t, a.clients, page(rt, a.method, a.path, a.status)))
	}
	i.Until("requests are answered", func() bool {
		return min(loads[0].Done(), loads[1].Done(), loads[2].Done(), loads[3].Done()) >= 20
	})
	old := i.Stats()
	if out, code := i.Command("reload"); code != 0 {
		t.Fatalf("reload: %s", out)
	}
	reached := loads[3].Done()
	i.Until("orders are answered by the new workers", func() bool { return loads[3].Done() >= reached+20 })
	for _, l := range loads {
		l.MustLoseNothing()
	}
	s := i.WaitFor("the old workers are gone", func(s stats.Snapshot) bool {
		return s.Generation == old.Generation+1 && !servertest.Alive(old.Workers[0].PID) && !servertest.Alive(old.Workers[1].PID)
	})
	for _, w := range s.Workers {
		if w.Requests == 0 {
			t.Errorf("worker %d answered nothing, so nothing was added up", w.ID)
		}
	}
	after := families(t, i)
	for n, a := range asked {
		if got, want := pages(after)[a.page], loads[n].Done(); got != want {
			t.Errorf("shop_pages_total{page=%q} is %d after %d requests", a.page, got, want)
		}
	}
	if got, want := int64(after["shop_payment_duration_seconds"].GetMetric()[0].GetHistogram().GetSampleCount()), loads[3].Done(); got != want {
		t.Errorf("%d payments are counted after %d orders", got, want)
	}
}

// Gauges are merged as main.go says.
func TestGaugesAreMergedByTheirMeaning(t *testing.T) {
	t.Parallel()
	i := launch(t)
	gauge := func(name string) float64 {
		f := families(t, i)[name]
		if len(f.GetMetric()) != 1 {
			t.Fatalf("%s has %d series, want 1", name, len(f.GetMetric()))
		}
		return f.GetMetric()[0].GetGauge().GetValue()
	}
	for name, want := range map[string]float64{ // two workers say so, each
		"shop_info": 1, "shop_catalog_items": 3, "shop_orders_in_progress": 0, "shop_last_order_timestamp_seconds": 0,
	} {
		if got := gauge(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	load := servertest.Run(t, 6, page(i.HTTP("http"), "POST", "/order/1", 200)) // more than one worker has slots
	i.Until("more orders are in progress than fit into one worker", func() bool { return gauge("shop_orders_in_progress") > 4 })
	load.MustLoseNothing()
	i.Until("no order is in progress", func() bool { return gauge("shop_orders_in_progress") == 0 })
	if at := gauge("shop_last_order_timestamp_seconds"); at < float64(i.Stats().StartedAt) || at > float64(i.Stats().StartedAt)+3600 {
		t.Errorf("the last order was at %v: the sum of two times, or none", at)
	}
}
