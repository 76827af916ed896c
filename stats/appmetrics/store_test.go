package appmetrics

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCountersAreSumsOverAllThereHaveBeen(t *testing.T) {
	f := newFleet(t, Limits{})
	a, b := f.start(1, 1), f.start(2, 1)
	a.counter("hits_total", "path").Add(3)
	b.counter("hits_total", "path").Add(4)
	a.put()
	b.put()
	f.expect("two live", `hits_total{path=""} 7`)
	a.exit()
	f.expect("one gone", `hits_total{path=""} 7`)
	a = f.start(1, 1)
	a.counter("hits_total", "path").Add(1)
	a.put()
	f.expect("its successor", `hits_total{path=""} 8`)
	a.exit()
	b.exit()
	f.expect("all gone", `hits_total{path=""} 8`)
	b.exit()
	f.expect("gone twice", `hits_total{path=""} 8`)
}

func TestAResetInALifeIsNoLoss(t *testing.T) {
	f := newFleet(t, Limits{})
	a := f.start(1, 1)
	a.counter("hits_total").Add(10)
	a.put()
	a.Registry = prometheus.NewRegistry()
	a.put()
	f.expect("unregistered", `hits_total 10`)
	c := a.counter("hits_total")
	c.Add(2)
	a.put()
	f.expect("registered anew, lower", `hits_total 12`)
	a.Registry = prometheus.NewRegistry()
	a.counter("hits_total").Add(50) // more than before, but made later
	a.put()
	f.expect("registered anew, higher", `hits_total 62`)
}

func TestGaugesAreMergedByTheirRule(t *testing.T) {
	f := newFleet(t, Limits{})
	f.rules = Rules{"lag": Max, "left": Min, "conf*": Last, "config_each": PerWorker}
	old := f.start(1, 1) // drains while its successor serves
	for i, m := range []*member{old, f.start(1, 2), f.start(2, 2), f.start(3, 2)} {
		for _, name := range []string{"open", "lag", "left", "config", "config_each"} {
			m.gauge(name).Set(float64(10 - 3*i*(i-2)))
		}
		m.put()
	}
	f.expect("10, 13, 10, 1", `
config 1
config_each{worker="1"} 13
config_each{worker="2"} 10
config_each{worker="3"} 1
lag 13
left 1
open 34`)
	old.exit()
	if got := f.text(); !strings.Contains(got, "open 24\n") {
		t.Errorf("the gauges of a process that is gone are still there:\n%s", got)
	}
}

func TestAGaugeThatIsNotSaidAnyMoreIsNotShown(t *testing.T) {
	f := newFleet(t, Limits{})
	a := f.start(1, 1)
	a.gauge("temperature").Set(20)
	a.put()
	a.Registry = prometheus.NewRegistry()
	if err := f.store.Put(a.Process, nil, true); err != nil {
		t.Fatal(err)
	}
	f.expect("a partial answer does not say that it is gone", `temperature 20`)
	a.put()
	f.expect("a whole one does", ``)
}

func TestUsualMerges(t *testing.T) {
	for name, want := range map[string]Merge{
		"process_start_time_seconds": Min, "process_open_fds": Sum, "process_max_fds": Sum,
		"process_virtual_memory_max_bytes": Max, "go_info": Max, "go_goroutines": Sum,
		"go_memstats_last_gc_time_seconds": Max, "go_gc_gomemlimit_bytes": Max, "job_last_success_timestamp_seconds": Max,
	} {
		if got := usual(name); got != want {
			t.Errorf("%s is merged by %s, want %s", name, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	r := Rules{"a*": Min, "ab*": Max, "abc": Last, "*": Sum}
	for name, want := range map[string]Merge{"abc": Last, "abcd": Max, "ab": Max, "ax": Min, "x": Sum} {
		if got := r.find(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []Rules{{"a": 0}, {"a": PerWorker + 1}, {"a*b": Sum}, {"": Sum}} {
		if bad.Check() == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
	for m := Sum; m <= PerWorker; m++ {
		if strings.Contains(m.String(), "(") {
			t.Errorf("%s has no name", m)
		}
	}
	for why := reason(1); why <= lastReason; why++ {
		if strings.Contains(why.String(), "(") {
			t.Errorf("%s has no name", why)
		}
	}
}

func TestALabelCalledWorkerGetsOutOfTheWay(t *testing.T) {
	got := withWorker([]label{{"exported_worker", "x"}, {"worker", "y"}, {"zone", "z"}}, "3")
	want := `[{exported_exported_worker x} {exported_worker y} {worker 3} {zone z}]`
	if text := strings.TrimSpace(lines("%v", got)); text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

func TestTheNewestProgramIsRightAboutTypesAndHelp(t *testing.T) {
	f := newFleet(t, Limits{})
	old, young := f.start(1, 1), f.start(1, 2)
	old.gauge("jobs").Set(5)
	old.put()
	young.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jobs", Help: "New."}, func() float64 { return 2 }))
	young.put()
	f.expect("conflict", `jobs 2`)
	if n := f.own("ostler_app_metrics_hidden_families"); n != 1 {
		t.Errorf("%v families are hidden, want 1", n)
	}
	old.put() // it still speaks while it drains
	f.expect("the old one spoke last", `jobs 2`)
	for _, mf := range f.gather() {
		if mf.GetName() == "jobs" && mf.GetHelp() != "New." {
			t.Errorf("help is %q", mf.GetHelp())
		}
	}
	young.exit() // it was a canary that was rejected
	f.expect("rolled back", `jobs 5`)
}

func TestAPartOfAHistogramHasItsNameAlone(t *testing.T) {
	f := newFleet(t, Limits{})
	old, young := f.start(1, 1), f.start(1, 2)
	old.counter("size_count").Add(5)
	old.put()
	young.histogram("size", 1).Observe(0.5)
	young.put()
	f.expect("both would be size_count", "size_bucket{le=\"1\"} 1\nsize_bucket{le=\"+Inf\"} 1\nsize_sum 0.5\nsize_count 1")
}

func TestReservedNamesAndWhatCannotBeMergedAreDroppedAndCounted(t *testing.T) {
	f := newFleet(t, Limits{})
	a := f.start(1, 1)
	a.gauge("ostler_workers").Set(99)
	a.counter("fine_total").Inc()
	a.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nan_total", Help: "x"}, math.NaN))
	a.put()
	f.expect("what is left", `fine_total 1`)
	if f.dropped(reasonReserved) != 1 || f.dropped(reasonMalformed) != 1 {
		t.Errorf("dropped: %v reserved, %v malformed", f.dropped(reasonReserved), f.dropped(reasonMalformed))
	}
}

func TestSummariesKeepCountAndSum(t *testing.T) {
	f := newFleet(t, Limits{})
	for w := range 3 {
		a := f.start(w+1, 1)
		s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "took_seconds", Help: "x", Objectives: map[float64]float64{0.5: 0.1}})
		a.MustRegister(s)
		s.Observe(2)
		s.Observe(0.5)
		a.put()
		if w == 0 {
			a.exit()
		}
	}
	f.expect("no quantiles, they cannot be added", "took_seconds_sum 7.5\ntook_seconds_count 6")
}

func TestTombstonesAreBoundedTheOldestGoFirst(t *testing.T) {
	f := newFleet(t, Limits{Tombstones: 2})
	for _, name := range []string{"a_total", "b_total", "c_total"} {
		m := f.start(1, 1)
		m.counter(name).Inc()
		m.put()
		m.exit()
	}
	f.expect("three were there", "b_total 1\nc_total 1")
	if n := f.dropped(reasonTombstones); n != 1 {
		t.Errorf("%v dropped, want 1", n)
	}
	if n := f.own("ostler_app_metrics_series"); n != 2 {
		t.Errorf("%v series held, want 2", n)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	f := newFleet(t, Limits{Series: 3, Tombstones: 1})
	a := f.start(1, 1)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x_total", Help: "x"}, []string{"id"})
	a.MustRegister(v)
	for _, id := range []string{"1", "2", "3", "4"} {
		v.WithLabelValues(id).Inc()
	}
	a.put()
	if n, d := f.own("ostler_app_metrics_series"), f.dropped(reasonSeries); n != 3 || d != 1 {
		t.Errorf("%v series, %v dropped, want 3 and 1", n, d)
	}
	v.Reset() // the app deletes its series: they are tombstones, and make room
	a.put()
	v.WithLabelValues("5").Inc()
	a.put()
	if got := f.text(); !strings.Contains(got, `x_total{id="5"} 1`) {
		t.Errorf("deleted series hold the place of new ones:\n%s", got)
	}
}

// The sum of the same numbers in another order may differ in the last bit. Prometheus
// would see a restart from zero, and count everything once more.
func TestRoundingIsNoReset(t *testing.T) {
	for seed := range uint64(20) {
		f, rng := newFleet(t, Limits{}), rand.New(rand.NewPCG(seed, 3))
		all := make([]*member, 12)
		for i := range all {
			all[i] = f.start(i+1, 1)
			v := math.Exp(rng.Float64() * 20)
			all[i].counter("cpu_seconds_total").Add(v)
			all[i].histogram("took", 1).Observe(v)
			all[i].put()
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		counter, sum := 0.0, 0.0
		for _, m := range all {
			for _, mf := range f.gather() {
				switch mf.GetName() {
				case "cpu_seconds_total":
					if v := mf.Metric[0].Counter.GetValue(); v < counter {
						t.Errorf("counter went from %v to %v", counter, v)
					} else {
						counter = v
					}
				case "took":
					if v := mf.Metric[0].Histogram.GetSampleSum(); v < sum {
						t.Errorf("sum went from %v to %v", sum, v)
					} else {
						sum = v
					}
				}
			}
			m.exit()
		}
	}
}

// A histogram of temperatures goes down for a reason.
func TestASumOfNegativeObservationsGoesDown(t *testing.T) {
	f := newFleet(t, Limits{})
	m := f.start(1, 1)
	h := m.histogram("celsius", 0)
	h.Observe(20)
	m.put()
	f.gather()
	h.Observe(-15)
	m.put()
	if got := f.text(); !strings.Contains(got, "celsius_sum 5\n") {
		t.Error(got)
	}
}

func TestADumpThatIsNoneChangesNothing(t *testing.T) {
	f := newFleet(t, Limits{})
	a := f.start(1, 1)
	a.counter("x_total").Inc()
	a.put()
	for _, bad := range []string{"\xff", "\x05ab", "\x02\x0a\x09", "\x00", strings.Repeat("\xff", 99)} {
		if f.store.Put(a.Process, []byte(bad), false) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	f.expect("after that", `x_total 1`)
	if n := f.dropped(reasonDump); n != 5 {
		t.Errorf("%v dumps dropped, want 5", n)
	}
}

func TestCreatedIsWhenTheTotalBegan(t *testing.T) {
	f := newFleet(t, Limits{})
	a := f.start(1, 1)
	began := time.Now()
	a.counter("x_total").Inc()
	a.put()
	a.exit()
	b := f.start(1, 2)
	b.counter("x_total").Inc()
	b.put()
	for _, mf := range f.gather() {
		if mf.GetName() == "x_total" {
			if ct := mf.Metric[0].Counter.CreatedTimestamp.AsTime(); ct.Before(began) || ct.After(time.Now()) {
				t.Errorf("created %v, the first began at %v", ct, began)
			}
		}
	}
}

// Not by their bytes: the same labels may be written in fewer of them than the store does.
func TestLabelsAreMeasuredByTheirText(t *testing.T) {
	for size, ok := range map[int]bool{maxLabelBytes: true, maxLabelBytes + 1: false} {
		key := labelKey([]label{{"a", ""}, {"b", strings.Repeat("x", size-2)}})
		if _, err := parseLabels([]byte(key)); (err == nil) != ok {
			t.Errorf("%d bytes of text in %d: %v", size, len(key), err)
		}
	}
}

func TestHelpThatWasCutStaysAsItIs(t *testing.T) {
	for _, raw := range []string{strings.Repeat("a\xff", 4<<10), strings.Repeat("é", 4<<10), "a" + strings.Repeat("é", 4<<10), "a\xff"} {
		once := familyText([]byte(raw))
		if twice := familyText([]byte(once)); twice != once || len(once) > 4<<10 {
			t.Errorf("%d bytes of %.10q become %d, and then %d", len(raw), raw, len(once), len(twice))
		}
	}
}
