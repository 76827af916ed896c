package master

import (
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// The looks at one request come together, the newest request first, and of all only so many
// are kept. What was published before is not changed.
func TestLooksAtARequestComeTogether(t *testing.T) {
	l := &loop{procs: map[incarnation]*running{1: {slot: 2, gen: 3, proc: &fakeProcess{pid: 4711}}}}
	look := func(inc incarnation, id uint64, percent int) {
		l.keepLook(&overrun{inc, control.Overrun{ID: id, Path: "/x", Percent: percent, Age: time.Second, Limit: 2 * time.Second}})
	}
	look(1, 7, 50)
	look(1, 8, 50)
	before := l.overruns
	look(1, 7, 75)
	look(2, 7, 100) // of a process that nobody knows any more
	if len(l.overruns) != 2 || l.overruns[0].ID != 7 || len(l.overruns[0].Looks) != 2 || l.overruns[0].Percent != 75 || l.overruns[0].PID != 4711 {
		t.Errorf("%+v", l.overruns)
	}
	if before[0].ID != 8 || len(before[1].Looks) != 1 {
		t.Errorf("what was published became %+v", before)
	}
	for range 9 {
		look(1, 7, 100)
	}
	for id := range uint64(2 * stats.MaxOverruns) {
		look(1, 100+id, 50)
	}
	if n := len(l.overruns); n != stats.MaxOverruns || l.overruns[0].ID != 99+2*stats.MaxOverruns {
		t.Errorf("%d are kept, the first is %+v", n, l.overruns[0])
	}
	look(1, 7, 50)
	for range 9 {
		look(1, 7, 100)
	}
	if n := len(l.overruns[0].Looks); n != maxLooks {
		t.Errorf("a worker that talks on has %d looks", n)
	}
}

// What went wrong is kept by the program that takes over; that it is handed over is seen in
// TestAFrozenMasterGoesOnWhenThawed.
func TestTheNextProgramKnowsWhatWentWrong(t *testing.T) {
	l := newLoop(t.Context(), New(Options{}))
	defer l.cancelLoad()
	defer l.log.close()
	if err := l.inherit(&loopLegacy{Crashes: []stats.Crash{{PID: 1}}, Overruns: []stats.Overrun{{PID: 2}}}); err != nil {
		t.Fatal(err)
	}
	if len(l.crashes) != 1 || len(l.overruns) != 1 {
		t.Errorf("crashes %+v, overruns %+v", l.crashes, l.overruns)
	}
}
