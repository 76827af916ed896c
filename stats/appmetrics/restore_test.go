package appmetrics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// With a lower limit the past makes room, and what makes it is counted.
func TestALowerLimitKeepsWhoLives(t *testing.T) {
	f := newFleet(t, Limits{})
	gone, lives := f.start(1, 1), f.start(1, 2)
	for i := range 5 {
		gone.counter(fmt.Sprint("a", i, "_total")).Inc()
		lives.gauge(fmt.Sprint("z", i)).Set(1)
	}
	gone.put()
	gone.exit()
	lives.put()
	data, err := f.store.Save()
	if err != nil {
		t.Fatal(err)
	}
	for series, want := range map[int]string{6: "a0_total 1\nz0 1\nz1 1\nz2 1\nz3 1\nz4 1", 3: "z0 1\nz1 1\nz2 1"} {
		if f.store, err = Restore(Limits{Series: series}, data); err != nil {
			t.Fatal(err)
		}
		f.expect(fmt.Sprint("room for ", series), want)
		if n := len(f.store.families); f.dropped(reasonSeries) == 0 || f.own("ostler_app_metrics_series") != float64(series) || n > 8 {
			t.Errorf("room for %d: %v dropped, %d families", series, f.dropped(reasonSeries), n)
		}
	}
}

// A hostile application can have counted what no float64 can, in several lives. It costs
// its own metrics, at most.
func TestSumsBeyondAllLimitsAreRestored(t *testing.T) {
	f := newFleet(t, Limits{})
	for range 3 {
		p := f.start(1, 1).Process
		h := &dto.Histogram{
			SampleCount: proto.Uint64(maxExact), Schema: proto.Int32(3), ZeroThreshold: proto.Float64(math.MaxFloat64),
			Bucket:       []*dto.Bucket{{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(maxExact)}},
			PositiveSpan: []*dto.BucketSpan{{Offset: proto.Int32(1024 << 3), Length: proto.Uint32(1)}}, PositiveDelta: []int64{int64(maxExact)},
		}
		var dump []byte
		for kind, m := range map[dto.MetricType]*dto.Metric{
			dto.MetricType_HISTOGRAM: {Histogram: h},
			dto.MetricType_COUNTER:   {Counter: &dto.Counter{Value: proto.Float64(math.MaxFloat64)}},
			dto.MetricType_SUMMARY:   {Summary: &dto.Summary{SampleCount: proto.Uint64(maxExact), SampleSum: proto.Float64(math.Inf(-1))}},
		} {
			dump = append(dump, one(t, "x_"+kind.String(), kind, m)...)
		}
		if err := f.store.Put(p, dump, false); err != nil {
			t.Fatal(err)
		}
		f.store.Retire(p.ID)
	}
	if d := differ(f.store, reborn(t, f.store)); d != "" {
		t.Error(d)
	}
	if n := f.dropped(reasonMalformed); n != 0 {
		t.Errorf("%v dropped", n)
	}
}

// one is a dump of one family with one metric.
func one(t *testing.T, name string, kind dto.MetricType, m *dto.Metric) []byte {
	t.Helper()
	dump, err := appendFamily(nil, &dto.MetricFamily{Name: &name, Type: &kind, Metric: []*dto.Metric{m}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

func TestWhatIsNotSavedMetricsIsRefused(t *testing.T) {
	counter, gauge, hist := dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_HISTOGRAM
	good := one(t, "x", counter, &dto.Metric{Counter: &dto.Counter{}})
	bad := one(t, "x", counter, &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(math.NaN())}})
	shapes := &dto.Histogram{}
	shapes.ProtoReflect().SetUnknown(slices.Repeat(appendBytes(nil, histShape, nil), maxShapes))

	version := appendNumber(nil, savedVersion, savedFormat)
	says := func(dump []byte) []byte {
		return appendBytes(nil, savedProcess, appendBytes(Process{ID: 7}.append(nil), processSays, dump))
	}
	past := func(dump []byte, processes ...[]byte) []byte {
		all := slices.Concat(version, slices.Concat(processes...))
		return appendBytes(appendBytes(all, savedPast, dump), savedDropped, nil)
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{appendNumber(nil, savedVersion, savedFormat+1), "they are of format 2, this program knows format 1 only"},
		{nil, "they do not begin with a version"},
		{[]byte(`{"version": 1}`), "they do not begin with a version"},
		{slices.Concat(version, says(good)), "they are cut short"},
		{past(nil, bytes.Repeat(says(nil), maxProcesses+1)), "they are of 8193 processes, at most 8192 can be"},
		{past(nil, appendNumber(nil, savedProcess, 7)), "malformed metrics"},
		{past(good, says(good), says(good)), "process 7: there twice"},
		{past(good, says([]byte{9})), "process 7: malformed metrics"},
		{past(good, says(bad)), `process 7: metric "x": malformed metrics`},
		{past([]byte{9}), "of the past: malformed metrics"},
		{past(slices.Concat(good, good)), `metric "x": there twice`},
		{past(one(t, "ostler_x", counter, &dto.Metric{})), `metric "ostler_x": malformed metrics`},
		{past(one(t, "\xff", counter, &dto.Metric{})), `metric "\xff": malformed metrics`},
		{past(one(t, "x", 99, &dto.Metric{})), `metric "x": malformed metrics`},
		{past(bad), `metric "x", of the past: malformed metrics`},
		{past(one(t, "x", gauge, &dto.Metric{Gauge: &dto.Gauge{}})), `metric "x", of the past: malformed metrics`},
		{past(one(t, "x", hist, &dto.Metric{})), `metric "x", of the past: malformed metrics`},
		{past(one(t, "x", hist, &dto.Metric{Histogram: shapes})), `metric "x", of the past: malformed metrics`},
		{appendBytes(past(nil), savedDropped, bad), "what was dropped: malformed metrics"},
	} {
		if s, err := Restore(Limits{}, c.data); s != nil || err == nil || err.Error() != "saved metrics: "+c.want {
			t.Errorf("%.60q: %v, want %q", c.data, err, c.want)
		}
	}
	if _, err := Restore(Limits{}, past(good, says(good))); err != nil {
		t.Errorf("what is good: %v", err)
	}
}

func TestSavedMetricsThatAreCutShortAreRefused(t *testing.T) {
	f := newFleet(t, Limits{})
	f.everything(1, 1).put()
	whole, err := f.store.Save()
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Restore(Limits{}, whole[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d are accepted", n, len(whole))
		}
	}
}

// A length that is not true must not cost memory.
func TestHostileLengthsAllocateNothing(t *testing.T) {
	f := newFleet(t, Limits{})
	f.everything(1, 1).put()
	f.everything(1, 2).put()
	f.store.Retire(1)
	whole, err := f.store.Save()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	for n := range whole {
		data := slices.Concat(whole[:n], binary.AppendUvarint(nil, math.MaxInt64), whole[n:])
		runtime.ReadMemStats(&before)
		_, _ = Restore(Limits{}, data)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Fatalf("a length at %d of %d bytes: %d are allocated", n, len(whole), grown)
		}
	}
}
