package appmetrics

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const noLimit = 1 << 30

// fleet is a store and the registries of the processes that put into it.
type fleet struct {
	t     testing.TB
	store *Store
	rules Rules
	last  uint64
}

// member is one process.
type member struct {
	*prometheus.Registry
	fleet *fleet
	Process
}

func newFleet(t testing.TB, l Limits) *fleet { return &fleet{t: t, store: NewStore(l)} }

func (f *fleet) start(worker, generation int) *member {
	f.last++
	return &member{prometheus.NewRegistry(), f, Process{ID: f.last, Worker: worker, Generation: generation}}
}

// dump is what the process would send.
func (m *member) dump() []byte {
	m.fleet.t.Helper()
	data, partial, err := NewCollector(Source{m.Registry, m.fleet.rules}).Dump(context.Background(), noLimit)
	if err != nil || partial {
		m.fleet.t.Fatal("dump:", err, partial)
	}
	return data
}

func (m *member) put() {
	m.fleet.t.Helper()
	if err := m.fleet.store.Put(m.Process, m.dump(), false); err != nil {
		m.fleet.t.Fatal(err)
	}
}

func (m *member) exit() { m.fleet.store.Retire(m.ID) }

func (m *member) counter(name string, labels ...string) prometheus.Counter {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "Of a test."}, labels)
	m.MustRegister(c)
	return c.WithLabelValues(make([]string, len(labels))...)
}

func (m *member) gauge(name string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Of a test."})
	m.MustRegister(g)
	return g
}

func (m *member) histogram(name string, bounds ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: "Of a test.", Buckets: bounds})
	m.MustRegister(h)
	return h
}

func (f *fleet) gather() []*dto.MetricFamily {
	f.t.Helper()
	all, err := f.store.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// text is what Prometheus would read of the application, without comments.
func (f *fleet) text() string {
	f.t.Helper()
	return textOf(f.t, f.gather())
}

func textOf(t testing.TB, all []*dto.MetricFamily) string {
	t.Helper()
	var b bytes.Buffer
	for _, mf := range all {
		if strings.HasPrefix(mf.GetName(), "ostler_") {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&b, mf); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func (f *fleet) expect(why, want string) {
	f.t.Helper()
	if got := strings.TrimSpace(f.text()); got != strings.TrimSpace(want) {
		f.t.Errorf("%s:\n%s\nwant\n%s", why, got, want)
	}
}

// own is a value of the store about itself.
func (f *fleet) own(name string, labels ...string) float64 {
	f.t.Helper()
	for _, mf := range f.gather() {
		if mf.GetName() != name {
			continue
		}
		for _, m := range mf.Metric {
			if len(labels) == 0 || m.Label[0].GetValue() == labels[0] {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	f.t.Fatalf("no %s %s", name, labels)
	return 0
}

func (f *fleet) dropped(why reason) float64 {
	f.t.Helper()
	return f.own("ostler_app_metrics_dropped_total", why.String())
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func lines(format string, args ...any) string { return fmt.Sprintf(format, args...) }
