package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// each calls f with every number of the struct that v is, so that no test forgets a field
// added later.
func each(v reflect.Value, f func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			each(v.Field(i), f)
		}
	case reflect.Array:
		for i := range v.Len() {
			each(v.Index(i), f)
		}
	default:
		f(v)
	}
}

func numbers[C Counters | CoreCounters | AppCounters](c C) []uint64 {
	var list []uint64
	each(reflect.ValueOf(c), func(v reflect.Value) { list = append(list, v.Uint()) })
	return list
}

// work adds up to limit-1 to every number of c.
func work[C Counters | CoreCounters | AppCounters](c C, rng *rand.Rand, limit uint64) C {
	each(reflect.ValueOf(&c).Elem(), func(v reflect.Value) { v.SetUint(v.Uint() + rng.Uint64N(limit)) })
	return c
}

func TestAddSumsEveryField(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := work(Counters{}, rng, 1<<40), work(Counters{}, rng, 1<<40)
	sum, na, nb := numbers(a.Add(b)), numbers(a), numbers(b)
	for i := range sum {
		if sum[i] != na[i]+nb[i] {
			t.Errorf("number %d: %d + %d = %d", i, na[i], nb[i], sum[i])
		}
	}
	p, q := work(AppCounters{}, rng, 1<<40), work(AppCounters{}, rng, 1<<40)
	sum, na, nb = numbers(p.Add(q)), numbers(p), numbers(q)
	for i := range sum {
		if sum[i] != na[i]+nb[i] {
			t.Errorf("number %d of an app: %d + %d = %d", i, na[i], nb[i], sum[i])
		}
	}
	core := work(CoreCounters{}, rng, 1<<40)
	from, to := reflect.ValueOf(core), reflect.ValueOf(a.AddCore(core))
	for i := range from.NumField() {
		switch name := from.Type().Field(i).Name; name {
		case "Requests", "Exceptions": // those of apps
		default:
			if got, want := to.FieldByName(name).Uint(), from.Field(i).Uint()+reflect.ValueOf(a).FieldByName(name).Uint(); got != want {
				t.Errorf("%s of all with a slot's: %d, want %d", name, got, want)
			}
		}
	}
	c, d := work(CoreCounters{}, rng, 1<<40), work(CoreCounters{}, rng, 1<<40)
	sum, na, nb = numbers(c.Add(d)), numbers(c), numbers(d)
	for i := range sum {
		if sum[i] != na[i]+nb[i] {
			t.Errorf("number %d of a slot: %d + %d = %d", i, na[i], nb[i], sum[i])
		}
	}
}

func TestStatusClass(t *testing.T) {
	for code, want := range map[int]int{
		100: 1, 101: 1, 199: 1, 200: 2, 204: 2, 304: 3, 404: 4, 499: 4, 500: 5, 599: 5,
		0: 0, -1: 0, -200: 0, 99: 0, 600: 0, 999: 0, math.MaxInt: 0, math.MinInt: 0,
	} {
		if got := StatusClass(code); got != want {
			t.Errorf("StatusClass(%d) = %d, want %d", code, got, want)
		}
	}
}

func TestEachBucketEndsAtItsBound(t *testing.T) {
	b := BucketBounds()
	if len(b) != NumBuckets || b[0] != 100*time.Microsecond || b[NumBuckets-2] != time.Minute {
		t.Fatalf("bounds are %v", b)
	}
	for i, bound := range b {
		if got := LatencyBucket(bound); got != i {
			t.Errorf("LatencyBucket(%v) = %d, want %d", bound, got, i)
		}
		if i+1 < len(b) {
			if got := LatencyBucket(bound + 1); got != i+1 {
				t.Errorf("LatencyBucket(%v) = %d, want %d", bound+1, got, i+1)
			}
		}
	}
	if got := LatencyBucket(-time.Second); got != 0 {
		t.Errorf("LatencyBucket of a negative time = %d", got)
	}
}

func TestBucketBoundsIsTheCallersCopy(t *testing.T) {
	BucketBounds()[0] = 0
	if got := BucketBounds()[0]; got != 100*time.Microsecond {
		t.Errorf("a caller changed the first bound to %v", got)
	}
}

// process is a worker's process in the walk below.
type process struct {
	total Counters
	rows  []CoreCounters
}

func (p *process) work(rng *rand.Rand) {
	for i := range p.rows {
		p.rows[i] = work(p.rows[i], rng, 3)
	}
	p.total = work(p.total, rng, 3)
}

func TestMergingNeverGoesBackwards(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var retired, shown Ledger
		var live []*process
		for step := range 200 {
			switch rng.IntN(4) {
			case 0: // a process is spawned, beside the old one or alone, with any number of threads
				if len(live) < 3 {
					live = append(live, &process{rows: make([]CoreCounters, 1+rng.IntN(5))})
				}
			case 1: // a process ends: SIGKILL or drain, the ledger does not care
				if len(live) > 0 {
					i := rng.IntN(len(live))
					retired = retired.Plus(live[i].total, live[i].rows)
					live = append(live[:i], live[i+1:]...)
				}
			default:
				for _, p := range live {
					p.work(rng)
				}
			}
			now := retired
			for _, p := range live {
				now = now.Plus(p.total, p.rows)
			}
			assertNotLess(t, seed, step, now, shown)
			shown = now
		}
	}
}

func assertNotLess(t *testing.T, seed uint64, step int, now, before Ledger) {
	t.Helper()
	if len(now.Cores) < len(before.Cores) {
		t.Fatalf("seed %d step %d: %d cores after %d", seed, step, len(now.Cores), len(before.Cores))
	}
	notLess := func(what string, now, before []uint64) {
		t.Helper()
		for i, n := range now {
			if n < before[i] {
				t.Fatalf("seed %d step %d: number %d of %s fell from %d to %d", seed, step, i, what, before[i], n)
			}
		}
	}
	notLess("all", numbers(now.Total), numbers(before.Total))
	for i, had := range before.Cores {
		notLess(fmt.Sprint("core ", i), numbers(now.Cores[i]), numbers(had))
	}
}

func TestPlusLeavesItsReceiverAlone(t *testing.T) {
	one := []CoreCounters{{Requests: 1}, {Requests: 1}}
	l := Ledger{}.Plus(Counters{Requests: 2}, one)
	_ = l.Plus(Counters{Requests: 5}, []CoreCounters{{Requests: 5}})
	want := Ledger{Total: Counters{Requests: 2}, Cores: one}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("a published ledger changed to %+v", l)
	}
}
