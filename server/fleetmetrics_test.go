package server

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/appmetrics"
)

// hitsOf is a process that counts hits, and puts what it has counted into f.
func hitsOf(t *testing.T, process uint64) func(f *fleetMetrics, more float64) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "app_hits_total", Help: "Requests."})
	r.MustRegister(c)
	return func(f *fleetMetrics, more float64) {
		t.Helper()
		c.Add(more)
		data, _, err := appmetrics.NewCollector(appmetrics.Source{Gatherer: r}).Dump(t.Context(), 1<<20)
		if err != nil || f.Put(process, int(process), 1, data, false) != nil {
			t.Fatal("put:", err)
		}
	}
}

// hits is -1 if nobody said it.
func (f *fleetMetrics) hits(t *testing.T) float64 {
	t.Helper()
	all, err := f.store.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, mf := range all {
		if mf.GetName() == "app_hits_total" {
			return mf.Metric[0].Counter.GetValue()
		}
	}
	return -1
}

func TestAppMetricsGoOnInTheNextProgram(t *testing.T) {
	cfg := config.Config{Stats: config.Address{Network: "tcp", Addr: "127.0.0.1:9191"}}
	f := newFleetMetrics(cfg)
	gone, silent, speaks := hitsOf(t, 1), hitsOf(t, 2), hitsOf(t, 3)
	gone(f, 1)
	silent(f, 2)
	speaks(f, 4)
	f.Retire(1)
	saved, err := f.save()
	if err != nil {
		t.Fatal(err)
	}
	if f, err = restoreFleetMetrics(cfg, saved); err != nil || f.hits(t) != 7 {
		t.Fatalf("%v hits, want 7; %v", f.hits(t), err)
	}
	speaks(f, 8)
	f.Retire(2)
	f.Retire(3)
	if got := f.hits(t); got != 15 {
		t.Errorf("%v hits, want 15", got)
	}
}

func TestAppMetricsThatCannotBeRestoredBeginAtZero(t *testing.T) {
	off, on := config.Config{}, config.Config{Stats: config.Address{Network: "unix", Addr: "/run/stats"}}
	saved, err := newFleetMetrics(off).save()
	if err != nil || saved != nil {
		t.Errorf("without stats %q is saved, %v", saved, err)
	}
	if f, err := restoreFleetMetrics(off, []byte("anything")); f != nil || err != nil {
		t.Errorf("without stats %v is restored, %v", f, err)
	}
	if f, err := restoreFleetMetrics(on, saved); err != nil || f.hits(t) != -1 {
		t.Errorf("from nothing: %v", err)
	}
	f, err := restoreFleetMetrics(on, []byte("anything"))
	if err == nil || !strings.HasPrefix(err.Error(), "saved metrics: ") {
		t.Fatalf("from something else: %v", err)
	}
	if hitsOf(t, 1)(f, 3); f.hits(t) != 3 {
		t.Errorf("%v hits, want 3", f.hits(t))
	}
}
