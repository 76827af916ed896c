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

// tally is what an app has done in one slot. Requests and exceptions are counted here and
// nowhere else: the sums of a slot and of the page are made by whoever reads them. So they
// agree with the apps' numbers even if the writer was killed between two additions, and a
// further app costs a request nothing.
type tally struct {
	requests   atomic.Uint64
	exceptions atomic.Uint64
}

// about is what there is to know of an app besides its numbers.
type about struct {
	startup atomic.Int64 // nanoseconds it took to build; 0 until it is
}

// aboutSize and talliesSize are whole cache lines: what follows begins on one of its own.
func aboutSize(apps int) int   { return wholeLines(apps * int(unsafe.Sizeof(about{}))) }
func talliesSize(apps int) int { return wholeLines(apps * int(unsafe.Sizeof(tally{}))) }

func wholeLines(n int) int { return (n + cacheLine - 1) / cacheLine * cacheLine }

// Apps is the number of apps the page was made for.
func (p *Page) Apps() int { return len(p.apps) }

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

// AppCounters sums the slots for each app. One more than there are apps: the last is what
// none of them took.
func (p *Page) AppCounters() []stats.AppCounters {
	sums := make([]stats.AppCounters, len(p.apps)+1)
	for i := range p.slots {
		s := &p.slots[i]
		for app := range p.apps {
			sums[app] = sums[app].Add(s.tallies[app].read())
		}
		sums[len(p.apps)] = sums[len(p.apps)].Add(s.row.unclaimed.read())
	}
	runtime.KeepAlive(p)
	return sums
}

func (t *tally) read() stats.AppCounters {
	return stats.AppCounters{Requests: t.requests.Load(), Exceptions: t.exceptions.Load()}
}

// tally is an app's part of the slot. An app the page does not have is NoApp.
func (s *Slot) tally(app int) *tally {
	if app >= 0 && app < len(s.tallies) {
		return &s.tallies[app]
	}
	return &s.row.unclaimed
}

// claimed sums what the apps have done in the slot, with what none of them has.
func (s *Slot) claimed() stats.AppCounters {
	sum := s.row.unclaimed.read()
	for i := range s.tallies {
		sum = sum.Add(s.tallies[i].read())
	}
	return sum
}
