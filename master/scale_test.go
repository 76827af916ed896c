package master

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// scaling is what a plan says after "loaded": the defaults of a configuration, unless there
// is no cheaper.
func (a args) scaling() Scaling {
	if a.keys["cheaper"] == "" {
		return Scaling{}
	}
	return Scaling{
		Least: a.int("cheaper", 1), Initial: a.int("initial", a.int("cheaper", 1)), Step: a.int("step", 1),
		Backlog: a.keys["algo"] == "backlog", Overload: a.int("overload", 3), Alert: a.int("alert", 33),
		Max: a.int("max", 50), Min: a.int("min", 25), Multiplier: a.int("multiplier", 10), Penalty: a.int("penalty", 2),
		Idle: a.duration("idle", 0),
	}
}

// look looks at a load, in percent of what one worker can do, as often as times says and one
// second apart. What is done is told with the number of the look. The load may vary: with
// noise it is more at every other pair of looks, and less in between.
func (s *script) look(a args) {
	times, load, noise := a.int("times", 1), a.int("load", 0), a.int("noise", 0)
	for n := 1; n <= times; n++ {
		before := s.out.Len()
		s.wait(lookEvery)
		now := load + noise
		if n/2%2 == 0 {
			now = load - noise
		}
		s.step(evMeasured{gen: a.int("gen", s.m.live.id), reading: s.m.readingOf(now, a.int("queue", 0))})
		if text := s.out.String(); len(text) > before && times > 1 {
			s.out.Reset()
			fmt.Fprintf(&s.out, "%s  (look %d)\n%s", text[:before], n, text[before:])
		}
	}
}

// readingOf is what a look sees of a load, in percent of one worker: what the workers cannot
// do waits.
func (m *machine) readingOf(load, queue int) reading {
	r := reading{busy: -1, queue: queue, active: load > 0}
	if ready := m.serving(m.live); ready > 0 {
		r.busy = min(load/ready, 100)
	}
	return r
}

func scalerOf(rule string, most int) scaler {
	return newScaler(parse("cheaper=1 "+rule).scaling(), most)
}

// follow shows a scaler a load for some looks, all workers serving, and returns how often
// their number changed and what it became.
func (s *scaler) follow(workers, looks int, load func(look int) int) (changes, last int) {
	for n := range looks {
		l := load(n)
		to, _ := s.decide(reading{busy: min(l/workers, 100), active: l > 0}, workers, workers)
		if to != workers {
			changes++
		}
		workers = to
	}
	return changes, workers
}

func TestTheNumberOfWorkersSettles(t *testing.T) {
	for name, test := range map[string]struct {
		rule    string
		workers int
		load    func(int) int
		last    int
		changes int // at most
	}{
		"nothing to do":                 {"", 1, func(int) int { return 0 }, 1, 0},
		"as it should be":               {"", 2, func(int) int { return 70 }, 2, 0},
		"a little more than the limit":  {"", 1, func(int) int { return 52 }, 2, 1},
		"one less would be full":        {"min=49 max=50", 2, func(int) int { return 95 }, 2, 0},
		"one less could just do it":     {"", 2, func(int) int { return 44 }, 1, 1},
		"the limits are close together": {"min=49 max=50", 4, func(int) int { return 132 }, 3, 1},
		"more than all can do":          {"", 1, func(int) int { return 5000 }, 8, 7},
		"all at once":                   {"step=8", 1, func(int) int { return 5000 }, 8, 1},
		"a peak each minute":            {"", 1, func(n int) int { return []int{90, 10}[min(n%60/4, 1)] }, 2, 30},
		"noise at the upper limit":      {"", 1, func(n int) int { return 50 + n*7919%31 - 15 }, 2, 1},
		"noise at the lower limit":      {"", 2, func(n int) int { return 46 + n*7919%21 - 10 }, 2, 0},
		"the queue alone counts":        {"algo=backlog", 1, func(int) int { return 5000 }, 1, 0},
		"the queue alone, and one goes": {"algo=backlog", 8, func(int) int { return 170 }, 2, 6},
	} {
		s := scalerOf(test.rule, 8)
		if changes, last := s.follow(test.workers, 3600, test.load); changes > test.changes || last != test.last {
			t.Errorf("%s: %d changes, %d workers in the end, want at most %d, and %d", name, changes, last, test.changes, test.last)
		}
	}
}

// A worker that has to come back soon after it was taken away is taken away later the next
// time, and in the end not at all.
func TestALoadThatComesAndGoesMakesItPatient(t *testing.T) {
	s := scalerOf("overload=1", 8)
	wave := func(n int) int { return []int{90, 10}[n%30/15] }
	first, workers := s.follow(1, 3600, wave)
	if later, _ := s.follow(workers, 3600, wave); first < 2 || later > 0 {
		t.Errorf("%d changes in the first hour and %d in the second", first, later)
	}
}

func TestNobodyIsAddedWhileOneIsMissing(t *testing.T) {
	s := scalerOf("", 8)
	for range 100 {
		if to, _ := s.decide(reading{busy: 100, queue: 500, active: true}, 1, 2); to != 2 {
			t.Fatalf("%d workers", to)
		}
	}
	// What was seen of one worker says nothing about two.
	for range 2 {
		if to, _ := s.decide(reading{busy: 100, active: true}, 2, 2); to != 2 {
			t.Fatalf("%d workers before the end of a cycle", to)
		}
	}
	if to, why := s.decide(reading{busy: 100, active: true}, 2, 2); to != 3 || why != "100% busy" {
		t.Errorf("%d workers because of %q", to, why)
	}
}

// The last worker is the first to go, unless it is the one that serves.
func TestNobodyGoesWhileOneThatStaysIsMissing(t *testing.T) {
	s := scalerOf("idle=1m", 8)
	for range 100 {
		if to, _ := s.decide(reading{}, 0, 3); to != 3 {
			t.Fatalf("%d workers", to)
		}
	}
	if to, why := s.decide(reading{}, 1, 3); to != 1 || why != "idle for 1m0s" {
		t.Errorf("%d workers because of %q", to, why)
	}
	s = scalerOf("", 8)
	for range 100 {
		if to, _ := s.decide(reading{}, 1, 3); to != 3 {
			t.Fatalf("%d workers", to)
		}
	}
}

func TestAPlanThatWouldNotSettleIsRefused(t *testing.T) {
	for text, fine := range map[string]bool{
		"":                                true,
		"cheaper=1":                       true,
		"cheaper=4":                       true,
		"cheaper=5":                       false,
		"cheaper=2 initial=1":             false,
		"cheaper=1 initial=5":             false,
		"cheaper=1 step=0":                false,
		"cheaper=1 overload=0":            false,
		"cheaper=1 multiplier=0":          false,
		"cheaper=1 min=50":                false,
		"cheaper=1 max=101":               false,
		"cheaper=1 min=0 max=1 penalty=0": true,
		"cheaper=1 idle=-1s":              false,
	} {
		err := Plan{Workers: 4, Threads: 1, Scaling: parse(text).scaling()}.check()
		if (err == nil) != fine {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A look counts the time of requests that run, once, however long they take.
func TestTheBusyTimeIsExact(t *testing.T) {
	l := &fakeLauncher{live: good}
	p, err := l.Launch(Spec{Slot: 1, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	r := &running{proc: p}
	look := func(want time.Duration, busy bool) {
		t.Helper()
		now = now.Add(time.Second)
		if got, active := r.gaugeAt(now); got != want || active != busy {
			t.Errorf("%s, %v; want %s, %v", got, active, want, busy)
		}
	}
	slot := p.Page().Slot(1)
	look(-1, false)
	look(0, false)
	slot.Begin(1, now.Add(500*time.Millisecond), "GET", "/", "")
	look(500*time.Millisecond, true)
	look(time.Second, true)
	slot.End(0, 200, 1750*time.Millisecond)
	look(250*time.Millisecond, true)
	look(0, false)
	p.Page().BeginUpgrade()
	look(0, true)
	_ = p.Signal(syscall.SIGKILL)
	p.Wait()
	_ = p.Close()
}
