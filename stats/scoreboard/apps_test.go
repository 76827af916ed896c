package scoreboard

import (
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// assertAppsAgree: however the writer came to its end, every request is some app's or
// nobody's.
func assertAppsAgree(t testing.TB, p *Page) {
	t.Helper()
	var sum stats.AppCounters
	for _, c := range p.AppCounters() {
		sum = sum.Add(c)
	}
	total := p.Totals()
	if want := (stats.Counters{}).AddApp(sum); want.Requests != total.Requests || want.Exceptions != total.Exceptions ||
		want.Status != total.Status || want.Latency != total.Latency || want.Rejects != total.Rejects || want.Busy != total.Busy {
		t.Errorf("the apps have %+v, the page %+v", sum, total)
	}
}

func TestARequestIsItsAppsAndTheSlots(t *testing.T) {
	p := newPageFor(t, 2, 3)
	for slot, apps := range [][]int{{0, 2, 2}, {2, NoApp, 3, 1000}} { // 3 and above: no app of this page
		for _, app := range apps {
			begin(p.Slot(slot), 1)
			p.Slot(slot).AddException(app)
			p.Slot(slot).End(app, 200, time.Millisecond)
		}
	}
	p.AddReject(2, stats.RejectLimitPost)
	p.AddReject(7, stats.RejectMalformed)
	p.AddRefusal(431)
	p.AddReject(0, 0) // no reason at all
	p.AddReject(0, stats.Reject(stats.NumRejects+1))
	done := func(n uint64) stats.AppCounters {
		c := stats.AppCounters{Requests: n, Exceptions: n, Busy: n * uint64(time.Millisecond)}
		c.Status[2], c.Latency[stats.LatencyBucket(time.Millisecond)] = n, n
		return c
	}
	want := []stats.AppCounters{done(1), {}, done(3), done(3)}
	want[2].Rejects[stats.RejectLimitPost-1], want[3].Rejects[stats.RejectMalformed-1] = 1, 1
	want[3].Rejects[stats.RejectTooLarge-1] = 1
	got := p.AppCounters()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want one for each of 3 apps and one for nobody", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("app %d has %+v, want %+v", i, got[i], want[i])
		}
	}
	for slot, n := range []uint64{3, 4} {
		if row := p.Cores()[slot]; row.Requests != n || row.Exceptions != n {
			t.Errorf("slot %d has %d requests and %d exceptions, want %d", slot, row.Requests, row.Exceptions, n)
		}
	}
	assertAppsAgree(t, p)
}

func TestAPageHasRoomForEveryApp(t *testing.T) {
	for _, apps := range []int{-1, maxApps + 1} {
		if _, _, err := Create(1, apps); err == nil {
			t.Errorf("Create(1, %d) was accepted", apps)
		}
	}
	for _, apps := range []int{0, 1, 4, 5, 101, maxApps} {
		master, f, err := Create(3, apps)
		if err != nil {
			t.Fatal(err)
		}
		worker, err := Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for app := range apps {
			worker.SetStartup(app, time.Duration(app+1))
		}
		for slot := range 3 { // the first and the last of each: an overlap would show
			begin(worker.Slot(slot), 1)
			worker.Slot(slot).End(0, 200, 0)
			worker.Slot(slot).End(apps-1, 200, 0)
		}
		if master.Apps() != apps || worker.Apps() != apps {
			t.Errorf("apps: %d and %d, want %d", master.Apps(), worker.Apps(), apps)
		}
		for app := range apps {
			if got := master.Startup(app); got != time.Duration(app+1) {
				t.Errorf("%d apps: app %d took %d", apps, app, got)
			}
		}
		counts := master.AppCounters()
		if n := counts[0].Requests + counts[max(apps-1, 0)].Requests; n != 6 && n != 12 { // 12: the first is the last
			t.Errorf("%d apps: counts %+v", apps, counts)
		}
		if rows := master.Cores(); rows[0] != rows[2] || rows[0].Requests != 2 {
			t.Errorf("%d apps: rows %+v", apps, rows)
		}
	}
}

func TestAppsShareNoCacheLineBetweenSlots(t *testing.T) {
	for _, apps := range []int{0, 1, 4, 5, 7} {
		if e := (extent{2, apps}); e.rows()%cacheLine != 0 || e.stride()%cacheLine != 0 {
			t.Errorf("%d apps: rows at %d, %d apart", apps, e.rows(), e.stride())
		}
	}
}
