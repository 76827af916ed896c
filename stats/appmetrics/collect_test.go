package appmetrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// broken is a collector that does something else than collecting.
type broken struct {
	desc *prometheus.Desc
	do   func()
}

func newBroken(do func()) broken {
	return broken{prometheus.NewDesc("broken", "x", nil, nil), do}
}

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

func (b broken) Collect(ch chan<- prometheus.Metric) {
	b.do()
	ch <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, 1)
}

// healthy is a registry with 20 counters, each 1.
func healthy() *prometheus.Registry {
	r := prometheus.NewRegistry()
	for i := range 20 {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%02d_total", i), Help: "x"})
		c.Inc()
		r.MustRegister(c)
	}
	return r
}

// counted is how many of the healthy counters are shown.
func counted(text string) int { return strings.Count(text, "_total 1\n") }

// received is what a store makes of dumps.
func received(t *testing.T, s *Store) string {
	t.Helper()
	all, err := s.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return textOf(t, all)
}

func TestACollectorThatPanicsCostsItsMetricsOnly(t *testing.T) {
	r := healthy()
	r.MustRegister(newBroken(func() { panic("no database") }))
	data, partial, err := NewCollector(Source{Gatherer: r}).Dump(within(t, time.Minute), noLimit)
	if err == nil || !strings.Contains(err.Error(), "no database") || partial {
		t.Errorf("error %v, partial %v", err, partial)
	}
	s := NewStore(Limits{})
	if err := s.Put(Process{ID: 1}, data, partial); err != nil {
		t.Fatal(err)
	}
	if n := counted(received(t, s)); n != 20 {
		t.Errorf("%d of 20 counters are there", n)
	}
}

// The function of a GaugeFunc runs where the registry has no net.
func TestAMetricThatPanicsCostsItselfOnly(t *testing.T) {
	r := healthy()
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bad", Help: "x"}, func() float64 { panic("nil map") }))
	data, partial, err := NewCollector(Source{Gatherer: r}).Dump(within(t, time.Minute), noLimit)
	if err == nil || !strings.Contains(err.Error(), "nil map") || partial {
		t.Errorf("error %v, partial %v", err, partial)
	}
	s := NewStore(Limits{})
	if err := s.Put(Process{ID: 1}, data, partial); err != nil {
		t.Fatal(err)
	}
	if n := counted(received(t, s)); n != 20 {
		t.Errorf("%d of 20 counters are there", n)
	}
}

// A walk that a panic ends has not seen everything, so there is another one.
func TestAWalkThatAPanicEndsIsNotComplete(t *testing.T) {
	r := healthy()
	r.MustRegister(newBroken(func() { panic("no database") }))
	h := (&source{gatherer: r}).walk(within(t, time.Minute))
	if !h.partial || h.err == nil || strings.Count(h.err.Error(), "no database") < 1 || len(h.families) > 20 {
		t.Errorf("%d families, partial %v, %v", len(h.families), h.partial, h.err)
	}
}

// A registry gives nothing until its slowest collector is done. What can be had is sent in
// time, a part of the others each time, and in the end everything.
func TestASlowCollectorHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := healthy()
		r.MustRegister(newBroken(func() { time.Sleep(10 * time.Second) }))
		c := NewCollector(Source{Gatherer: r})
		s := NewStore(Limits{})
		var text string
		for n := range 6 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			began := time.Now()
			data, partial, err := c.Dump(ctx, noLimit)
			cancel()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if complete := n == 5; partial == complete || (err == nil) != complete {
				t.Errorf("after %d times: partial %v, %v", n+1, partial, err)
			}
			if err := s.Put(Process{ID: 1}, data, partial); err != nil {
				t.Fatal(err)
			}
			text = received(t, s)
		}
		if counted(text) != 20 || !strings.Contains(text, "broken 1\n") {
			t.Errorf("in the end:\n%s", text)
		}
		time.Sleep(time.Minute) // fake: the walks come back
	})
}

func TestACollectorThatNeverReturnsHoldsNoMoreGoroutinesThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		r := healthy()
		r.MustRegister(newBroken(func() { <-end }))
		c := NewCollector(Source{Gatherer: r})
		seen := NewStore(Limits{})
		for range 4 * maxWalks {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			data, partial, err := c.Dump(ctx, noLimit)
			cancel()
			if err == nil || !partial {
				t.Fatal("it did not notice")
			}
			if err := seen.Put(Process{ID: 1}, data, partial); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.sources[0].walking.Load(); n != maxWalks {
			t.Errorf("%d walks hang, want %d", n, maxWalks)
		}
		if n := counted(received(t, seen)); n < 15 { // each walk starts elsewhere
			t.Errorf("only %d of 20 counters were ever seen", n)
		}
		close(end)
		synctest.Wait()
		if n := c.sources[0].walking.Load(); n != 0 {
			t.Errorf("%d walks hang after the end", n)
		}
	})
}

func TestASlowRegistryIsNotAllOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			time.Sleep(10 * time.Second)
			return nil, nil
		})
		c := NewCollector(Source{Gatherer: prometheus.Gatherers{slow, healthy()}})
		families, err := c.Gather(within(t, time.Second))
		if err == nil || counted(textOf(t, families)) != 20 {
			t.Errorf("%d families, %v", len(families), err)
		}
		time.Sleep(time.Minute)
	})
}

func TestAGathererThatPanicsIsAnError(t *testing.T) {
	bad := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { panic(errors.New("boom")) })
	families, err := NewCollector(Source{Gatherer: bad}, Source{Gatherer: healthy()}).Gather(within(t, time.Minute))
	if err == nil || !strings.Contains(err.Error(), "boom") || counted(textOf(t, families)) != 20 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

func TestARegistryIsGatheredOnceHoweverManyAppsHaveIt(t *testing.T) {
	calls := 0
	r := healthy()
	r.MustRegister(newBroken(func() { calls++ }))
	c := NewCollector(Source{Gatherer: r}, Source{Gatherer: r, Rules: Rules{"broken": PerWorker}}, Source{Gatherer: prometheus.Gatherers{r}}, Source{})
	data, _, err := c.Dump(within(t, time.Minute), noLimit)
	if err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	s := NewStore(Limits{})
	if err := s.Put(Process{ID: 1, Worker: 4}, data, false); err != nil {
		t.Fatal(err)
	}
	if text := received(t, s); !strings.Contains(text, `broken{worker="4"} 1`) {
		t.Errorf("the rule of the second app is not kept:\n%s", text)
	}
}

func TestTwoRegistriesWithTheSameSeriesCountOnce(t *testing.T) {
	data, _, err := NewCollector(Source{Gatherer: healthy()}, Source{Gatherer: healthy()}).Dump(within(t, time.Minute), noLimit)
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(Limits{})
	if err := s.Put(Process{ID: 1}, data, false); err != nil {
		t.Fatal(err)
	}
	if n := counted(received(t, s)); n != 20 || s.dropped[reasonDuplicate] != 20 {
		t.Errorf("%d are 1, %d duplicates counted", n, s.dropped[reasonDuplicate])
	}
}

func TestADumpIsCutAtItsLimit(t *testing.T) {
	data, _, err := NewCollector(Source{Gatherer: healthy()}).Dump(within(t, time.Minute), 100)
	if err == nil || len(data) > 100 || len(data) == 0 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := splitDump(data, nil); err != nil {
		t.Errorf("what is left is no dump: %v", err)
	}
}

func TestSingleModeShowsWhatTheAppHas(t *testing.T) {
	r := healthy()
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "took", Help: "x", Objectives: map[float64]float64{0.5: 0.1}})
	s.Observe(3)
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ostler_ready", Help: "x"})
	r.MustRegister(s, g)
	families, err := NewCollector(Source{Gatherer: r}).Gather(within(t, time.Minute))
	text := textOf(t, families)
	if err != nil || !strings.Contains(text, `took{quantile="0.5"} 3`) || len(families) != 21 {
		t.Errorf("%d families, %v:\n%s", len(families), err, text)
	}
}
