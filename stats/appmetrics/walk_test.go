package appmetrics

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// town is a random application: what it has counted in all, and what of it was told.
type town struct {
	*fleet
	rng   *rand.Rand
	lives []*life
	told  map[string]float64 // by series: what is gone and was told
	shown map[string]float64 // by series: the last that was shown
	gen   int
}

// life is one process of it.
type life struct {
	*member
	hits   *prometheus.CounterVec
	took   *prometheus.HistogramVec
	bounds []float64
	counts map[string]float64 // since it last began anew
	put    map[string]float64 // of counts, at the last put
}

func (tw *town) begin(l *life) {
	l.Registry = prometheus.NewRegistry()
	l.hits = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hits_total", Help: "x"}, []string{"code"})
	opts := prometheus.HistogramOpts{Name: "took", Help: "x", Buckets: l.bounds}
	if tw.rng.IntN(2) == 0 {
		opts.NativeHistogramBucketFactor = []float64{1.1, 2}[tw.rng.IntN(2)]
		opts.NativeHistogramMaxBucketNumber = 10
	}
	l.took = prometheus.NewHistogramVec(opts, []string{"code"})
	l.MustRegister(l.hits, l.took)
	l.counts = map[string]float64{}
}

func (tw *town) spawn() {
	l := &life{member: tw.start(tw.rng.IntN(4)+1, tw.gen), put: map[string]float64{}}
	l.bounds = [][]float64{{1, 10, 100}, {1, 5, 10, 50}}[tw.gen%2]
	tw.begin(l)
	tw.lives = append(tw.lives, l)
}

func (tw *town) work(l *life) {
	for range tw.rng.IntN(20) {
		code := fmt.Sprint(200 + 100*tw.rng.IntN(4))
		n, v := float64(tw.rng.IntN(3)), float64(tw.rng.IntN(200))
		l.hits.WithLabelValues(code).Add(n)
		l.took.WithLabelValues(code).Observe(v)
		l.counts["hits "+code] += n
		l.counts["count "+code]++
		l.counts["sum "+code] += v
		for _, bound := range []float64{1, 10} { // that all have
			if v <= bound {
				l.counts[fmt.Sprint("le ", bound, " ", code)]++
			}
		}
	}
}

// tell is a put, now or never.
func (tw *town) tell(l *life, partial bool) {
	data, _, err := NewCollector(Source{Gatherer: l.Registry}).Dump(tw.t.Context(), noLimit)
	if err != nil || tw.store.Put(l.Process, data, partial) != nil {
		tw.t.Fatal("put:", err)
	}
	l.put = maps.Clone(l.counts)
}

// forget moves what l has told to what is gone.
func (tw *town) forget(l *life) {
	for k, v := range l.put {
		tw.told[k] += v
	}
	l.put = map[string]float64{}
}

func (tw *town) step() {
	if len(tw.lives) == 0 || tw.rng.IntN(10) == 0 {
		tw.spawn()
	}
	n := tw.rng.IntN(len(tw.lives))
	l := tw.lives[n]
	switch tw.rng.IntN(12) {
	case 0: // a reload, forth and back
		tw.gen++
	case 1: // an exit, with a last word or without
		if tw.rng.IntN(2) == 0 {
			tw.tell(l, false)
		}
		tw.forget(l)
		l.exit()
		tw.lives = slices.Delete(tw.lives, n, n+1)
	case 2: // the app begins anew
		tw.forget(l)
		tw.begin(l)
	case 3: // and deletes series
		tw.forget(l)
		l.hits.Reset()
		l.took.Reset()
		l.counts = map[string]float64{}
	case 4, 5, 6:
		tw.tell(l, tw.rng.IntN(3) == 0)
	default:
		tw.work(l)
	}
}

// check compares what is shown with what was told, and with what was shown before.
func (tw *town) check() {
	want := maps.Clone(tw.told)
	for _, l := range tw.lives {
		for k, v := range l.put {
			want[k] += v
		}
	}
	got := map[string]float64{}
	for _, mf := range tw.gather() {
		for _, m := range mf.Metric {
			flatten(mf.GetName(), m, got)
		}
	}
	for k, v := range want {
		if got[k] != v {
			tw.t.Fatalf("%s is %v, want %v", k, got[k], v)
		}
	}
	for k, v := range tw.shown {
		if now, ok := got[k]; ok && now < v {
			tw.t.Fatalf("%s went back from %v to %v", k, v, now)
		}
	}
	maps.Copy(tw.shown, got)
}

func flatten(name string, m *dto.Metric, into map[string]float64) {
	if strings.HasPrefix(name, "ostler_") || len(m.Label) == 0 {
		return
	}
	code := m.Label[0].GetValue()
	if m.Counter != nil {
		into["hits "+code] = m.Counter.GetValue()
		return
	}
	h := m.Histogram
	into["count "+code] = float64(h.GetSampleCount())
	into["sum "+code] = h.GetSampleSum()
	last := uint64(0)
	for _, b := range h.Bucket {
		into[fmt.Sprint("le ", b.GetUpperBound(), " ", code)] = float64(b.GetCumulativeCount())
		if b.GetCumulativeCount() < last || b.GetCumulativeCount() > h.GetSampleCount() {
			panic("buckets that are not cumulative")
		}
		last = b.GetCumulativeCount()
	}
	if h.Schema == nil {
		return
	}
	// Of native buckets what a query sees: how many are up to a bound of the coarsest schema.
	sum := h.GetZeroCount()
	expand(h.PositiveSpan, h.PositiveDelta, func(_ int32, n uint64) { sum += n })
	into["native "+code] = float64(sum)
}

// Whatever happens to the processes, nothing goes backwards, and everything that was told
// is in the sum, to the last one.
func TestRandomWalksNeverGoBack(t *testing.T) {
	for seed := range uint64(30) {
		tw := &town{fleet: newFleet(t, Limits{}), rng: rand.New(rand.NewPCG(seed, 1)),
			told: map[string]float64{}, shown: map[string]float64{}, gen: 1}
		for range 300 {
			tw.step()
			tw.check()
		}
	}
}

// The order in which processes speak and go makes no difference, nor does who is live.
func TestTheOrderMakesNoDifference(t *testing.T) {
	type word struct {
		from  Process
		dump  []byte
		exits bool
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		tw := &town{fleet: newFleet(t, Limits{}), rng: rng, gen: 1}
		var words []word
		for i := range 8 {
			tw.gen = 1 + i/4
			tw.spawn()
			l := tw.lives[i]
			l.gauge("open").Set(float64(i))
			tw.work(l)
			words = append(words, word{l.Process, l.dump(), rng.IntN(2) == 0})
		}
		var first string
		for range 6 {
			f := newFleet(t, Limits{})
			rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
			for _, w := range words {
				if err := f.store.Put(w.from, w.dump, false); err != nil {
					t.Fatal(err)
				}
				if w.exits && rng.IntN(2) == 0 { // at once, or after all have spoken
					f.store.Retire(w.from.ID)
				}
			}
			for _, w := range words {
				if w.exits {
					f.store.Retire(w.from.ID)
				}
			}
			text := f.text()
			for _, mf := range f.gather() {
				if mf.GetName() == "took" {
					text += mf.String()
				}
			}
			if first == "" {
				first = text
			}
			if text != first {
				t.Fatalf("seed %d:\n%s\nand in another order\n%s", seed, first, text)
			}
		}
	}
}
