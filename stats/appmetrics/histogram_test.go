package appmetrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// histogramOf is the only histogram that is shown.
func (f *fleet) histogramOf(name string) *dto.Histogram {
	f.t.Helper()
	for _, mf := range f.gather() {
		if mf.GetName() == name {
			return mf.Metric[0].Histogram
		}
	}
	f.t.Fatal("no histogram", name)
	return nil
}

func TestHistogramsOfTheSameBoundsAreAddedUp(t *testing.T) {
	f := newFleet(t, Limits{})
	for w := range 3 {
		m := f.start(w, 1)
		h := m.histogram("took", 1, 2)
		for _, v := range []float64{0.5, 1, 1.5, 9} {
			h.Observe(v)
		}
		m.put()
		h.Observe(2)
		m.put() // what was said before is replaced
		if w < 2 {
			m.exit()
		}
	}
	f.expect("", `
took_bucket{le="1"} 6
took_bucket{le="2"} 12
took_bucket{le="+Inf"} 15
took_sum 42
took_count 15`)
}

// A reload changes the bounds and a rollback changes them back. Count and sum are exact all
// the time; a bucket is exact where all bounds agree, and never too large, and never less
// than it was.
func TestBoundsThatChange(t *testing.T) {
	f := newFleet(t, Limits{})
	old := f.start(1, 1)
	h := old.histogram("took", 1, 10)
	for _, v := range []float64{0.5, 3, 7} {
		h.Observe(v)
	}
	old.put()
	young := f.start(1, 2)
	y := young.histogram("took", 1, 5, 10)
	y.Observe(4)
	young.put()
	f.expect("side by side, in the newer one's bounds; 3 is not known to be below 5", `
took_bucket{le="1"} 1
took_bucket{le="5"} 2
took_bucket{le="10"} 4
took_bucket{le="+Inf"} 4
took_sum 14.5
took_count 4`)
	old.exit()
	y.Observe(4.5)
	young.put()
	f.expect("from now on what is added is exact", `
took_bucket{le="1"} 1
took_bucket{le="5"} 3
took_bucket{le="10"} 5
took_bucket{le="+Inf"} 5
took_sum 19
took_count 5`)
	young.exit()
	back := f.start(1, 3)
	back.histogram("took", 1, 10).Observe(2)
	back.put()
	f.expect("rolled back", `
took_bucket{le="1"} 1
took_bucket{le="10"} 6
took_bucket{le="+Inf"} 6
took_sum 21
took_count 6`)
}

func TestManyDifferentBoundsAreBounded(t *testing.T) {
	f := newFleet(t, Limits{})
	var before uint64
	for g := range 20 {
		m := f.start(1, g+1)
		m.histogram("took", float64(g)+0.5, 100).Observe(50)
		m.put()
		h := f.histogramOf("took")
		if got := h.Bucket[1].GetCumulativeCount(); got != uint64(g)+1 || got < before || h.GetSampleCount() != got {
			t.Fatalf("generation %d: %v", g+1, h)
		}
		m.exit()
	}
	for _, sr := range f.store.families["took"][0].series {
		if n := len(sr.retired.hist.shapes) + 1; n > maxShapes {
			t.Errorf("%d shapes are kept", n)
		}
	}
}

// Which shape goes does not depend on who exited first.
func TestTheOldestBoundsAreTheOnesThatGo(t *testing.T) {
	f := newFleet(t, Limits{})
	var all []*member
	for g := range maxShapes + 1 {
		m := f.start(1, g+1)
		m.histogram("took", float64(g)+1).Observe(0.5)
		m.put()
		all = append(all, m)
	}
	for _, m := range slices.Backward(all) {
		m.exit()
	}
	for _, sr := range f.store.families["took"][0].series {
		for _, c := range append(sr.retired.hist.shapes, sr.retired.hist.classic) {
			if c.bounds[0] == 1 {
				t.Error("the bounds of the first generation are kept, and others are not")
			}
		}
	}
	if h := f.histogramOf("took"); h.Bucket[0].GetUpperBound() != maxShapes+1 || h.GetSampleCount() != maxShapes+1 {
		t.Errorf("shown: %v", h)
	}
}

func newNative(max uint32, factor float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "size", Help: "x", NativeHistogramBucketFactor: factor, NativeHistogramMaxBucketNumber: max,
	})
}

// The sum of many native histograms is what one would have that saw everything, at the
// resolution of the coarsest.
func TestNativeHistogramsAreAddedUp(t *testing.T) {
	f := newFleet(t, Limits{})
	rng := rand.New(rand.NewPCG(1, 2))
	var all []float64
	for w := range 8 {
		m := f.start(w, 1)
		h := newNative([]uint32{0, 20, 60}[w%3], []float64{1.1, 1.02, 1.5}[w%3])
		m.MustRegister(h)
		for range 300 {
			v := math.Exp(rng.NormFloat64() * 4)
			switch rng.IntN(5) {
			case 0:
				v = -v
			case 1:
				v = 0
			}
			all = append(all, v)
			h.Observe(v)
			if rng.IntN(60) == 0 {
				m.put() // it coarsens itself in the course of its life
			}
		}
		m.put()
		if w%2 == 0 {
			m.exit()
		}
		checkNative(t, f.histogramOf("size"), all)
	}
}

// checkNative counts the observations into the buckets that h says it has.
func checkNative(t *testing.T, h *dto.Histogram, all []float64) {
	t.Helper()
	n := native{schema: h.GetSchema()}
	want := map[int32]uint64{}
	var zero uint64
	count := func(v float64, sign int32) {
		index := int32(math.Ceil(math.Log2(v) * math.Exp2(float64(n.schema))))
		for n.end(index-1) >= v { // rounding of the logarithm
			index--
		}
		for n.end(index) < v {
			index++
		}
		want[sign*(index+maxIndex)]++
	}
	for _, v := range all {
		switch {
		case math.Abs(v) <= h.GetZeroThreshold():
			zero++
		case v > 0:
			count(v, 1)
		default:
			count(-v, -1)
		}
	}
	got := map[int32]uint64{}
	expand(h.PositiveSpan, h.PositiveDelta, func(i int32, n uint64) { got[i+maxIndex] += n })
	expand(h.NegativeSpan, h.NegativeDelta, func(i int32, n uint64) { got[-(i + maxIndex)] += n })
	if h.GetSampleCount() != uint64(len(all)) || h.GetZeroCount() != zero || len(got) != len(want) {
		t.Fatalf("count %d of %d, zero %d of %d, %d buckets, want %d", h.GetSampleCount(), len(all), h.GetZeroCount(), zero, len(got), len(want))
	}
	for i, n := range want {
		if got[i] != n {
			t.Fatalf("schema %d, bucket %d: %d, want %d", h.GetSchema(), i, got[i], n)
		}
	}
}

func expand(spans []*dto.BucketSpan, deltas []int64, each func(int32, uint64)) {
	var index int32
	var count int64
	for _, s := range spans {
		index += s.GetOffset()
		for range s.GetLength() {
			count += deltas[0]
			deltas = deltas[1:]
			if count > 0 {
				each(index, uint64(count))
			}
			index++
		}
	}
}

func TestANativeHistogramThatIsResetKeepsWhatItHad(t *testing.T) {
	f := newFleet(t, Limits{})
	m := f.start(1, 1)
	all := []float64{1, 2, 3, 4}
	h := newNative(0, 1.1)
	m.MustRegister(h)
	for _, v := range all {
		h.Observe(v)
	}
	m.put()
	m.Registry = prometheus.NewRegistry()
	h = newNative(0, 1.1)
	m.MustRegister(h)
	h.Observe(9)
	m.put()
	checkNative(t, f.histogramOf("size"), append(all, 9))
}

func TestZeroBucketsOfDifferentWidthAreReconciled(t *testing.T) {
	f := newFleet(t, Limits{})
	all := []float64{0.001, 0.004, 0.0041, 0.3, 5, -0.0045, -7}
	for w, threshold := range []float64{0.001, 0.0043, prometheus.NativeHistogramZeroThresholdZero} {
		m := f.start(w, 1)
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "size", Help: "x", NativeHistogramBucketFactor: 1.3, NativeHistogramZeroThreshold: threshold,
		})
		m.MustRegister(h)
		for _, v := range all {
			h.Observe(v)
		}
		m.put()
	}
	h := f.histogramOf("size")
	if h.GetZeroThreshold() < 0.0043 {
		t.Errorf("zero threshold %v is below one of its parts", h.GetZeroThreshold())
	}
	checkNative(t, h, slices.Concat(all, all, all))
}

func TestAnEmptyNativeHistogramStaysOne(t *testing.T) {
	f := newFleet(t, Limits{})
	m := f.start(1, 1)
	m.MustRegister(prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "size", Help: "x", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero,
	}))
	m.put()
	if h := f.histogramOf("size"); len(h.PositiveSpan) != 1 || h.Schema == nil {
		t.Errorf("it looks like a classic one without buckets: %v", h)
	}
}

func TestTooManyNativeBucketsAreMadeFewer(t *testing.T) {
	var sum native
	for part := range int32(8) {
		n := native{there: true, schema: 8}
		for i := range int32(maxNative / 4) {
			n.pos = append(n.pos, bucket{part*maxNative/4 + i + 1, 1})
		}
		sum.add(n)
	}
	if len(sum.pos) > maxNative || !sum.within(2*maxNative) || sum.within(2*maxNative-1) || sum.schema != 7 {
		t.Errorf("%d buckets at schema %d, and not of %d observations", len(sum.pos), sum.schema, 2*maxNative)
	}
}

// A hostile worker that begins anew with each dump, and has other buckets each time, which
// no schema is coarse enough to bring together.
func TestBucketsThatNoNumberFallsIntoAreRefused(t *testing.T) {
	f := newFleet(t, Limits{})
	p := Process{ID: 1, Worker: 1, Generation: 1}
	for life := range int32(4) {
		h := &dto.Histogram{SampleCount: proto.Uint64(maxNative), Schema: proto.Int32(minSchema)}
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(maxNative * life), Length: proto.Uint32(maxNative)}}
		h.PositiveDelta = append([]int64{1}, make([]int64, maxNative-1)...)
		h.CreatedTimestamp = asTime(int64(life) + 1)
		dump, err := appendFamily(nil, &dto.MetricFamily{
			Name: proto.String("size"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}},
		}, 0)
		if err != nil || f.store.Put(p, dump, false) != nil {
			t.Fatal(err)
		}
	}
	if n := f.dropped(reasonMalformed); n != 4 {
		t.Errorf("%v of 4 are refused", n)
	}
}

func TestTheFarthestBucketsAreAccepted(t *testing.T) {
	for schema := int32(minSchema); schema <= maxSchema; schema++ {
		n := native{schema: schema}
		if last, inf := n.farthest(), n.farthest()/2+1; n.end(int32(inf)) < math.MaxFloat64 || n.end(int32(-last)) > 0 {
			t.Errorf("schema %d: numbers are beyond %d", schema, last)
		}
	}
	for _, v := range []float64{math.Inf(1), math.MaxFloat64, math.SmallestNonzeroFloat64, -math.MaxFloat64, math.Inf(-1)} {
		for _, factor := range []float64{1.001, 1.1, 100_000} {
			f := newFleet(t, Limits{})
			m := f.start(1, 1)
			h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "size", Help: "x",
				NativeHistogramBucketFactor: factor, NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero})
			m.MustRegister(h)
			h.Observe(v)
			m.put()
			if n := f.histogramOf("size"); len(n.PositiveDelta)+len(n.NegativeDelta) != 1 {
				t.Errorf("%v at factor %v is not shown: %v", v, factor, n)
			}
		}
	}
}
