package scoreboard

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/seed17661985/ostler/stats"
)

// NoApp stands for the app of a request that none takes.
const NoApp = -1

// maxApps bounds, with maxSlots, what is mapped because of a number somebody else wrote.
const maxApps = 1 << 10

// tally is what an app has done in one slot. Requests are counted here and nowhere else, and
// by one addition: the class of the answer and the time it took pick one cell. The numbers of
// requests, classes and times, of the app, the slot and the page, are all sums of cells. So
// they agree even if the writer was killed between two additions, and a further number costs
// a request nothing.
type tally struct {
	busy       atomic.Uint64 // nanoseconds; zero: all cells are zero
	exceptions atomic.Uint64
	cells      [classes * stats.NumBuckets]atomic.Uint64
}

const classes = len(stats.Counters{}.Status)

// about is what there is to know of an app that no slot has.
type about struct {
	startup atomic.Int64 // nanoseconds it took to build; 0 until it is
	rejects [stats.NumRejects]atomic.Uint64
}

// aboutSize and talliesSize are whole cache lines: what follows begins on one of its own.
// Each has room for one more than the apps, which is nobody's.
func aboutSize(apps int) int   { return wholeLines((apps + 1) * int(unsafe.Sizeof(about{}))) }
func talliesSize(apps int) int { return wholeLines((apps + 1) * int(unsafe.Sizeof(tally{}))) }

func wholeLines(n int) int { return (n + cacheLine - 1) / cacheLine * cacheLine }

// Apps is the number of apps the page was made for.
func (p *Page) Apps() int { return len(p.apps) - 1 }

// SetStartup says how long it took to build an app.
func (p *Page) SetStartup(app int, took time.Duration) {
	p.apps[app].startup.Store(int64(took))
	runtime.KeepAlive(p)
}

// Startup is 0 until SetStartup.
func (p *Page) Startup(app int) time.Duration {
	took := p.apps[app].startup.Load()
	runtime.KeepAlive(p)
	return time.Duration(took)
}

// The reasons of AddReject, for packages that know the page and nothing of what becomes of
// its numbers.
const (
	RejectQueueTimeout = stats.RejectQueueTimeout
	RejectClientGone   = stats.RejectClientGone
	RejectLimitPost    = stats.RejectLimitPost
	RejectHarakiri     = stats.RejectHarakiri
	RejectQueueFull    = stats.RejectQueueFull
)

// AddRefusal counts what a protocol server refused by itself, with the status it gave.
func (p *Page) AddRefusal(status int) { p.AddReject(NoApp, stats.RejectFor(status)) }

// AddReject counts a request that was turned away, for an app or for NoApp.
func (p *Page) AddReject(app int, why stats.Reject) {
	if why >= 1 && int(why) <= stats.NumRejects {
		p.apps[place(app, len(p.apps))].rejects[why-1].Add(1)
	}
	runtime.KeepAlive(p)
}

// place is where an app is found in a list of n places, the last of which is nobody's. An
// app the page does not have is NoApp.
func place(app, n int) int {
	if app >= 0 && app < n {
		return app
	}
	return n - 1
}

func (a *about) read() (n stats.Rejects) {
	for i := range a.rejects {
		n[i] = a.rejects[i].Load()
	}
	return n
}

func (s *Slot) tally(app int) *tally { return &s.tallies[place(app, len(s.tallies))] }

// add counts a request. The time comes first, see addTo.
func (t *tally) add(status int, took time.Duration) {
	t.busy.Add(uint64(max(took, 1)))
	t.cells[stats.StatusClass(status)*stats.NumBuckets+stats.LatencyBucket(took)].Add(1)
}

// addTo looks at the cells only if there is something: most apps of most slots have never
// been asked for.
func (t *tally) addTo(app *stats.AppCounters, core *stats.CoreCounters) {
	busy, exceptions := t.busy.Load(), t.exceptions.Load()
	app.Busy += busy
	app.Exceptions += exceptions
	core.Exceptions += exceptions
	if busy == 0 {
		return
	}
	for i := range t.cells {
		if k := t.cells[i].Load(); k > 0 {
			core.Requests += k
			app.Requests += k
			app.Status[i/stats.NumBuckets] += k
			app.Latency[i%stats.NumBuckets] += k
		}
	}
}
