package appmetrics

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// reborn is a store that was saved and restored, and then looks at the same clock.
func reborn(t testing.TB, s *Store) *Store {
	t.Helper()
	data, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Restore(s.limits, data)
	if err != nil {
		t.Fatal(err)
	}
	r.now = s.now
	again, err := r.Save()
	if err != nil || !bytes.Equal(again, data) {
		t.Fatalf("what is restored is saved differently, %v:\n%q\n%q", err, data, again)
	}
	return r
}

// differ is where two stores do not show the same, or nothing.
func differ(a, b *Store) string {
	x, _ := a.Gather()
	y, _ := b.Gather()
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) || !proto.Equal(x[i], y[i]) {
			return fmt.Sprintf("%v\nand\n%v", x[min(i, len(x)):min(i+1, len(x))], y[min(i, len(y)):min(i+1, len(y))])
		}
	}
	return ""
}

// everything is a process with every kind of metric, of which it has deleted some.
func (f *fleet) everything(worker, generation int) *member {
	f.rules = Rules{"lag": Max, "left": Min, "conf": Last, "each": PerWorker}
	m := f.start(worker, generation)
	for i, name := range []string{"open", "lag", "left", "conf", "each"} {
		m.gauge(name).Set(float64(int(m.ID)*(i+1)%7) - 1.5)
	}
	m.counter("hits_total", "path").Add(3)
	m.counter("process_network_receive_bytes_total").Add(1000 + float64(m.ID))
	m.histogram("took", [][]float64{{1, 2, 5}, {1, 3}}[generation%2]...).Observe(1.5)
	h := newNative(10, 1.1)
	m.MustRegister(h)
	for _, v := range []float64{-3, 0, 1, 1.1, 1000, math.Inf(1), math.NaN()} {
		h.Observe(v)
	}
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "sizes", Help: "x"})
	s.Observe(float64(generation))
	m.MustRegister(s, prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "odd"}, func() float64 { return float64(worker) }))
	m.counter("deleted_total", "a", "b").Add(2)
	m.gauge("deleted").Set(1)
	return m
}

// inUnits is a dump whose families have a unit, which client_golang does not write.
func inUnits(t *testing.T, name string, v float64) []byte {
	t.Helper()
	dump, err := appendFamily(nil, &dto.MetricFamily{
		Name: proto.String(name), Help: proto.String("Of a test."), Unit: proto.String("parsecs"),
		Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: proto.Float64(v)}}},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

func TestARestoredStoreShowsTheSame(t *testing.T) {
	f := newFleet(t, Limits{})
	now := time.Now()
	f.store.now = func() time.Time { return now }
	var all []*member
	for i := range 6 {
		m := f.everything(i%3+1, i/2)
		m.put()
		if i == 3 { // it has deleted all, and made some of it anew
			m.Registry = prometheus.NewRegistry()
			m.counter("hits_total", "path").Inc()
			m.put()
		}
		all = append(all, m)
	}
	all[0].exit()
	all[5].exit()
	if err := f.store.Put(all[1].Process, []byte{9}, false); err == nil {
		t.Error("a dump that is none is accepted")
	}
	if err := f.store.Put(all[1].Process, inUnits(t, "far_total", 4), true); err != nil {
		t.Error(err)
	}
	old := f.store
	f.store = reborn(t, old)
	now = now.Add(time.Minute)
	if d := differ(old, f.store); d != "" {
		t.Error(d)
	}
	for _, mf := range f.gather() {
		if mf.GetName() == "far_total" && mf.GetUnit() != "parsecs" {
			t.Errorf("the unit is %q", mf.GetUnit())
		}
	}
	if age := f.own("ostler_app_metrics_oldest_seconds"); age != 60 {
		t.Errorf("the oldest is %v s old, want 60", age)
	}
	for i, m := range all[1:5] { // each says a last word to both, or none
		for _, s := range []*Store{old, f.store} {
			if i%2 == 0 {
				if err := s.Put(m.Process, m.dump(), false); err != nil {
					t.Fatal(err)
				}
			}
			s.Retire(m.ID)
		}
		if d := differ(old, f.store); d != "" {
			t.Fatalf("process %d is gone: %s", m.ID, d)
		}
	}
	if !strings.Contains(f.text(), `hits_total{path=""} 19`) { // six times three, and one
		t.Error(f.text())
	}
}

func TestAProcessIsKnownInTheNextProgram(t *testing.T) {
	f := newFleet(t, Limits{})
	speaks, silent := f.start(1, 1), f.start(2, 1)
	c := speaks.counter("hits_total")
	c.Add(3)
	speaks.put()
	silent.counter("hits_total").Add(4)
	silent.put()
	f.store = reborn(t, f.store)
	c.Add(1)
	speaks.put()
	f.expect("what it says replaces what it said", `hits_total 8`)
	silent.exit()
	speaks.exit()
	f.expect("both are gone, one without a word", `hits_total 8`)
	f.store = reborn(t, f.store)
	f.expect("nobody is there", `hits_total 8`)
}

func TestAnEmptyStoreIsRestored(t *testing.T) {
	f := newFleet(t, Limits{})
	f.store = reborn(t, f.store)
	f.expect("nothing", ``)
}

// history is random, and of two stores: one lived through it in several programs.
type history struct {
	*town
	never, saved *Store
	last         map[string]float64
}

func (h *history) put(l *life, partial bool) {
	data, _, err := NewCollector(Source{l.Registry, h.rules}).Dump(h.t.Context(), noLimit)
	if err != nil || h.never.Put(l.Process, data, partial) != nil || h.saved.Put(l.Process, data, partial) != nil {
		h.t.Fatal("put:", err)
	}
}

// begin gives a process what town does not: sums that rounding can change, gauges of each
// rule, and a name whose type, help and rule are those of its generation.
func (h *history) begin(l *life) {
	h.town.begin(l)
	v := math.Exp(h.rng.Float64() * 20)
	l.counter("cpu_seconds_total").Add(v)
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "sizes", Help: fmt.Sprint("Of generation ", h.gen)})
	s.Observe(v)
	l.MustRegister(s)
	for _, name := range []string{"open", "lag", "left", "conf", "each"} {
		if h.rng.IntN(4) > 0 {
			l.gauge(name).Set(h.rng.NormFloat64())
		}
	}
	if h.gen%3 == 0 {
		l.gauge("jobs").Set(v)
	} else {
		l.counter("jobs").Add(v)
	}
}

func (h *history) step() {
	if len(h.lives) == 0 || h.rng.IntN(8) == 0 {
		h.spawn()
		h.begin(h.lives[len(h.lives)-1])
	}
	n := h.rng.IntN(len(h.lives))
	l := h.lives[n]
	switch h.rng.IntN(12) {
	case 0:
		h.gen++
	case 1:
		h.never.Retire(l.ID)
		h.saved.Retire(l.ID)
		h.lives = slices.Delete(h.lives, n, n+1)
	case 2:
		h.begin(l)
	case 3:
		l.hits.Reset()
		l.took.Reset()
	case 4, 5:
		h.saved = reborn(h.t, h.saved)
	case 6, 7, 8, 9:
		h.put(l, h.rng.IntN(3) == 0)
	default:
		h.work(l)
	}
}

// Wherever a history is cut by another program, what is shown is what would be without.
func TestSavingMakesNoDifference(t *testing.T) {
	for seed := range uint64(12) {
		limits := Limits{}
		if seed%2 == 0 {
			limits = Limits{Series: 16, Tombstones: 3}
		}
		now := time.Now()
		h := &history{never: NewStore(limits), saved: NewStore(limits), last: map[string]float64{}}
		h.never.now = func() time.Time { return now }
		h.saved.now = h.never.now
		h.town = &town{fleet: newFleet(t, limits), rng: rand.New(rand.NewPCG(seed, 5)), gen: 1}
		h.rules = Rules{"lag": Max, "left": Min, "conf": Last, "each": PerWorker}
		for step := range 150 {
			h.step()
			now = now.Add(time.Second)
			if h.rng.IntN(3) == 0 { // what was shown is part of the history
				continue
			}
			if d := differ(h.never, h.saved); d != "" {
				t.Fatalf("seed %d, step %d: never saved\n%s", seed, step, d)
			}
			if limits.Series == 0 { // a limit is what makes totals go back
				h.grows()
			}
		}
	}
}

func (h *history) grows() {
	all, err := h.saved.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, mf := range all {
		growing(h.t, mf, h.last)
	}
}
