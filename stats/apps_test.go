package stats

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestAppsAreMergedByNameAndPlace(t *testing.T) {
	shop, blog, moved := App{"shop", "/shop"}, App{"blog", ""}, App{"shop", "/store"}
	l := Ledger{}.PlusApps([]App{blog, shop}, []AppCounters{{Requests: 1, Exceptions: 0}, {Requests: 2, Exceptions: 1}, {Requests: 3, Exceptions: 0}})
	before := maps.Clone(l.Apps)
	next := l.PlusApps([]App{shop, moved}, []AppCounters{{Requests: 10, Exceptions: 1}, {Requests: 20, Exceptions: 2}, {Requests: 30, Exceptions: 0}}) // a reload
	want := map[App]AppCounters{blog: {Requests: 1, Exceptions: 0}, shop: {Requests: 12, Exceptions: 2}, moved: {Requests: 20, Exceptions: 2}, {}: {Requests: 33, Exceptions: 0}}
	if !reflect.DeepEqual(next.Apps, want) {
		t.Errorf("merged\n%+v, want\n%+v", next.Apps, want)
	}
	if !reflect.DeepEqual(l.Apps, before) {
		t.Errorf("a published ledger changed to %+v", l.Apps)
	}
	if kept := next.Plus(Counters{Requests: 1}, nil); !reflect.DeepEqual(kept.Apps, want) {
		t.Errorf("Plus lost the apps: %+v", kept.Apps)
	}
}

func TestARowStaysWhenItsAppIsGone(t *testing.T) {
	a, b, c, never := App{"a", ""}, App{"b", "/b"}, App{"c", "/c"}, App{"d", "/d"}
	l := Ledger{}.PlusApps([]App{a, b}, []AppCounters{{Requests: 5, Exceptions: 1}, {Requests: 6, Exceptions: 0}, {Requests: 7, Exceptions: 0}}).
		PlusApps([]App{c, a}, []AppCounters{{Requests: 0, Exceptions: 0}, {Requests: 1, Exceptions: 0}, {Requests: 1, Exceptions: 0}})
	var w Worker
	w.FillApps(l, []App{a, b, never, c}, []AppStats{{Module: "c", Mountpoint: "/c", StartupTime: 3}, {Module: "a", Chdir: "/srv"}})
	for i := range w.Apps {
		w.Apps[i].Latency = Latency{}
	}
	want := List[AppStats]{
		{ID: 0, Module: "a", Requests: 6, Exceptions: 1, Mounted: 1, Chdir: "/srv"},
		{ID: 1, Module: "b", Mountpoint: "/b", Requests: 6},
		{ID: 3, Module: "c", Mountpoint: "/c", Mounted: 1, StartupTime: 3},
	}
	if !reflect.DeepEqual(w.Apps, want) || w.Unmounted != 8 {
		t.Errorf("rows\n%+v, want\n%+v; %d requests for nobody, want 8", w.Apps, want, w.Unmounted)
	}
}

// Processes come with any mounts and go at any time; no number of any app falls.
func TestMergedAppsNeverGoBackwards(t *testing.T) {
	all := []App{{"a", ""}, {"b", "/b"}, {"a", "/c"}, {"d", "/d"}}
	type process struct {
		apps   []App
		counts []AppCounters
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var retired, shown Ledger
		var live []*process
		for range 200 {
			switch rng.IntN(4) {
			case 0:
				perm := rng.Perm(len(all))[:rng.IntN(len(all)+1)]
				p := &process{counts: make([]AppCounters, len(perm)+1)}
				for _, i := range perm {
					p.apps = append(p.apps, all[i])
				}
				live = append(live, p)
			case 1:
				if len(live) > 0 {
					retired = retired.PlusApps(live[0].apps, live[0].counts)
					live = live[1:]
				}
			default:
				for _, p := range live {
					i := rng.IntN(len(p.counts))
					p.counts[i] = work(p.counts[i], rng, 3)
				}
			}
			now := retired
			for _, p := range live {
				now = now.PlusApps(p.apps, p.counts)
			}
			for a, had := range shown.Apps {
				is, was := numbers(now.Apps[a]), numbers(had)
				for i := range is {
					if is[i] < was[i] {
						t.Fatalf("seed %d: number %d of %+v fell from %d to %d", seed, i, a, was[i], is[i])
					}
				}
			}
			shown = now
		}
	}
}
