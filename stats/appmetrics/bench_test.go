package appmetrics

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// sixteen is 16 processes with 500 series each, 40 of them histograms.
func sixteen(b *testing.B) (*fleet, []*member) {
	f := newFleet(b, Limits{})
	var all []*member
	for w := range 16 {
		m := f.start(w+1, 1)
		m.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		hits := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests."}, []string{"method", "path", "code"})
		took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Took."}, []string{"path"})
		open := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "connections", Help: "Open."}, []string{"pool"})
		m.MustRegister(hits, took, open)
		for i := range 350 {
			hits.WithLabelValues("GET", fmt.Sprint("/path/", i/7), fmt.Sprint(200+i%7)).Add(float64(i))
		}
		for i := range 40 {
			took.WithLabelValues(fmt.Sprint("/path/", i)).Observe(float64(i))
		}
		for i := range 70 {
			open.WithLabelValues(fmt.Sprint(i)).Set(float64(i))
		}
		m.put()
		all = append(all, m)
	}
	return f, all
}

// BenchmarkPut is what one scrape makes the master do with the answers of all workers.
func BenchmarkPut(b *testing.B) {
	f, all := sixteen(b)
	var dumps [][]byte
	size := 0
	for _, m := range all {
		dumps = append(dumps, m.dump())
		size += len(dumps[len(dumps)-1])
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for i, m := range all {
			if err := f.store.Put(m.Process, dumps[i], false); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(f.own("ostler_app_metrics_series"), "series")
}

// BenchmarkGather is the merging.
func BenchmarkGather(b *testing.B) {
	f, _ := sixteen(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.store.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSaveAndRestore is what the master adds to the time it takes to become another program.
func BenchmarkSaveAndRestore(b *testing.B) {
	f, _ := sixteen(b)
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		data, err := f.store.Save()
		if err != nil {
			b.Fatal(err)
		}
		if _, err = Restore(Limits{}, data); err != nil {
			b.Fatal(err)
		}
		size = len(data)
	}
	b.ReportMetric(float64(size), "bytes")
}

// BenchmarkText is the writing, for comparison.
func BenchmarkText(b *testing.B) {
	f, _ := sixteen(b)
	families := f.gather()
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		for _, mf := range families {
			if _, err := expfmt.MetricFamilyToText(&buf, mf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkDump is what it costs a worker.
func BenchmarkDump(b *testing.B) {
	_, all := sixteen(b)
	c := NewCollector(Source{Gatherer: all[0].Registry})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Dump(b.Context(), noLimit); err != nil {
			b.Fatal(err)
		}
	}
}
