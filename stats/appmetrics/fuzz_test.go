package appmetrics

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// seeds are dumps of every kind of metric.
func seeds(t testing.TB) [][]byte {
	f := newFleet(t, Limits{})
	m := f.start(1, 1)
	m.counter("hits_total", "path").Add(3)
	m.gauge("open").Set(-1.5)
	m.histogram("took", 1, 2, 5).Observe(1.5)
	h := newNative(10, 1.1)
	m.MustRegister(h)
	for _, v := range []float64{-3, 0, 1, 1.1, 1000} {
		h.Observe(v)
	}
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "sizes", Help: "x"})
	s.Observe(1)
	m.MustRegister(s)
	whole := m.dump()
	return [][]byte{whole, whole[:len(whole)/2], nil, {0}}
}

// FuzzPut: no two dumps, from processes that come and go, make the store panic, show what
// Prometheus cannot read, go backwards, or be what it is not any more when it was saved.
func FuzzPut(f *testing.F) {
	all := seeds(f)
	for _, a := range all {
		f.Add(a, all[0], false)
		f.Add(all[0], a, true)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, partial bool) {
		s := NewStore(Limits{Series: 50, Tombstones: 10})
		s.now = func() time.Time { return time.Unix(1e9, 0) }
		last := map[string]float64{}
		look := func() {
			families, err := s.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			for _, mf := range families {
				if _, err := expfmt.MetricFamilyToText(&b, mf); err != nil {
					t.Fatalf("%v: %v", mf, err)
				}
				growing(t, mf, last)
			}
			if s.total > 50 {
				t.Fatalf("%d series are held", s.total)
			}
			if d := differ(s, reborn(t, s)); d != "" {
				t.Fatal(d)
			}
		}
		old, young := Process{ID: 1, Worker: 1, Generation: 1}, Process{ID: 2, Worker: 1, Generation: 2}
		_ = s.Put(old, first, false)
		look()
		_ = s.Put(young, second, partial)
		_ = s.Put(old, second, partial)
		look()
		s.Retire(1)
		look()
		_ = s.Put(young, first, false)
		look()
		s.Retire(2)
		look()
	})
}

// growing fails if a total is less than it was.
func growing(t testing.TB, mf *dto.MetricFamily, last map[string]float64) {
	for _, m := range mf.Metric {
		key := mf.GetName() + labelKey(labelsOf(m))
		now := 0.0
		switch mf.GetType() {
		case dto.MetricType_COUNTER:
			now = m.Counter.GetValue()
		case dto.MetricType_HISTOGRAM:
			now = float64(m.Histogram.GetSampleCount())
		case dto.MetricType_SUMMARY:
			now = float64(m.Summary.GetSampleCount())
		default:
			continue
		}
		key += mf.GetType().String()
		if now < last[key] || math.IsNaN(now) {
			t.Fatalf("%s went from %v to %v", key, last[key], now)
		}
		last[key] = now
	}
}

func labelsOf(m *dto.Metric) (all []label) {
	for _, l := range m.Label {
		all = append(all, label{l.GetName(), l.GetValue()})
	}
	return all
}

// FuzzRestore: whatever is restored can be shown, is saved and restored as the same, and
// goes on.
func FuzzRestore(f *testing.F) {
	fl := newFleet(f, Limits{})
	one, two := fl.everything(1, 1), fl.everything(2, 2)
	seed := func() {
		data, err := fl.store.Save()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	one.put()
	seed()
	two.put()
	seed()
	one.exit()
	seed()
	f.Add([]byte{savedVersion << 3, savedFormat})
	dump := two.dump()
	f.Fuzz(func(t *testing.T, data []byte) {
		l := Limits{Series: 50, Tombstones: 10}
		s, err := Restore(l, data)
		if err != nil {
			return
		}
		s.now = func() time.Time { return time.Unix(1e9, 0) }
		if s.total > l.Series || len(s.processes) > maxProcesses {
			t.Fatalf("%d series of %d processes are held", s.total, len(s.processes))
		}
		families, err := s.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, mf := range families {
			if _, err := expfmt.MetricFamilyToText(&bytes.Buffer{}, mf); err != nil {
				t.Fatalf("%v: %v", mf, err)
			}
		}
		r := reborn(t, s)
		if d := differ(s, r); d != "" {
			t.Fatal(d)
		}
		for _, p := range r.live() {
			if err := r.Put(p.Process, dump, true); err != nil {
				t.Fatal(err)
			}
			r.Retire(p.ID)
		}
		if d := differ(r, reborn(t, r)); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzHistogram: what is read from a histogram is what the generated code reads.
func FuzzHistogram(f *testing.F) {
	for _, h := range []*dto.Histogram{
		{SampleCount: proto.Uint64(3), SampleSum: proto.Float64(1.5), Bucket: []*dto.Bucket{{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(2)}}},
		{SampleCount: proto.Uint64(9), Schema: proto.Int32(-2), ZeroThreshold: proto.Float64(1e-9), ZeroCount: proto.Uint64(1),
			PositiveSpan:  []*dto.BucketSpan{{Offset: proto.Int32(-3), Length: proto.Uint32(2)}, {Offset: proto.Int32(4), Length: proto.Uint32(1)}},
			PositiveDelta: []int64{2, -1, 3}, NegativeSpan: []*dto.BucketSpan{{Offset: proto.Int32(5), Length: proto.Uint32(1)}}, NegativeDelta: []int64{1}},
	} {
		b, err := proto.Marshal(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h histogram
		if h.read(b, &nativeScratch{}) != nil {
			return
		}
		var want dto.Histogram
		if proto.Unmarshal(b, &want) != nil || unknown(want.ProtoReflect()) {
			t.Skip() // it is stricter about the types of fields, and about what nobody reads
		}
		if h.count != want.GetSampleCount() || math.Float64bits(h.sum) != math.Float64bits(want.GetSampleSum()) || h.native.zero > want.GetZeroCount() {
			t.Fatalf("read %+v, want %v", h, &want)
		}
		var again dto.Histogram
		h.native.show(&again)
		got, buckets := map[int32]uint64{}, map[int32]uint64{}
		expand(again.PositiveSpan, again.PositiveDelta, func(i int32, n uint64) { got[i] += n })
		if h.native.there {
			expand(want.PositiveSpan, want.PositiveDelta, func(i int32, n uint64) { buckets[i] += n })
		}
		for i, n := range buckets {
			if got[i] != n {
				t.Fatalf("bucket %d is %d, want %d", i, got[i], n)
			}
		}
	})
}

// unknown reports whether there is anything in m that its type does not have.
func unknown(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || unknown(v.List().Get(i).Message())
			}
		default:
			found = found || unknown(v.Message())
		}
		return !found
	})
	return found
}

func TestFieldsThatAreNotKnownAreSkipped(t *testing.T) {
	f := newFleet(t, Limits{})
	m := f.start(1, 1)
	m.counter("x_total").Inc()
	body, n := protowire.ConsumeBytes(m.dump())
	if n < 0 {
		t.Fatal("no family")
	}
	body = protowire.AppendTag(append([]byte(nil), body...), 77, protowire.Fixed32Type)
	body = protowire.AppendFixed32(body, 1)
	body = protowire.AppendTag(body, 78, protowire.StartGroupType)
	body = protowire.AppendTag(body, 78, protowire.EndGroupType)
	if err := f.store.Put(m.Process, protowire.AppendBytes(nil, body), false); err != nil {
		t.Fatal(err)
	}
	f.expect("a newer client", `x_total 1`)
}
