package scoreboard

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// Numbers are all the counters of a page. Each number is exact; that they belong to one
// moment is not promised, because requests go on. But a request that is in one of them is in
// all.
type Numbers struct {
	Total stats.Counters       // the slots and the apps together, and what belongs to neither
	Cores []stats.CoreCounters // of the slots
	Apps  []stats.AppCounters  // one more than there are apps: the last is what none of them took
}

// Numbers reads every counter once.
func (p *Page) Numbers() Numbers {
	n := Numbers{Cores: make([]stats.CoreCounters, len(p.slots)), Apps: make([]stats.AppCounters, len(p.apps))}
	var cores stats.CoreCounters
	for i := range p.slots {
		n.Cores[i] = p.slots[i].counters(n.Apps)
		cores = cores.Add(n.Cores[i])
	}
	n.Total = n.Total.AddCore(cores)
	for app := range p.apps {
		n.Apps[app].Rejects = p.apps[app].read()
		n.Total = n.Total.AddApp(n.Apps[app])
	}
	n.Total.Upgrades = p.head.upgrades.Load()
	n.Total.Waited = p.head.waited.Load()
	for i := range p.head.over {
		n.Total.Waits[i] = p.head.over[i].Load()
	}
	n.Total.Runtime = p.Usage().Runtime
	runtime.KeepAlive(p)
	return n
}

// Totals is the Total of Numbers.
func (p *Page) Totals() stats.Counters { return p.Numbers().Total }

// Cores is the Cores of Numbers.
func (p *Page) Cores() []stats.CoreCounters { return p.Numbers().Cores }

// AppCounters is the Apps of Numbers.
func (p *Page) AppCounters() []stats.AppCounters { return p.Numbers().Apps }

// BeginWait counts a request that has to wait for a slot.
func (p *Page) BeginWait() {
	p.head.begun.Add(1)
	runtime.KeepAlive(p)
}

// EndWait ends such a wait, whatever it led to. It comes after its BeginWait.
func (p *Page) EndWait(took time.Duration) {
	took = max(took, 0)
	p.head.waited.Add(uint64(took))
	p.head.over[stats.LatencyBucket(took)].Add(1)
	runtime.KeepAlive(p)
}

// Waiting is how many requests wait now. One that ends meanwhile may count still, as in
// Upgraded.
func (p *Page) Waiting() uint64 {
	var over uint64
	for i := range p.head.over {
		over += p.head.over[i].Load()
	}
	waiting := p.head.begun.Load() - over
	runtime.KeepAlive(p)
	return waiting
}

// Usage is what the process uses. The numbers of Runtime only grow.
type Usage struct {
	stats.Runtime
	Goroutines uint64
	Heap       uint64 // bytes
	MaxFDs     uint64
}

// SetUsage is for one goroutine at a time.
func (p *Page) SetUsage(u Usage) {
	h := &p.head.usage
	h.cpuUser.Store(u.CPUUser)
	h.cpuSystem.Store(u.CPUSystem)
	h.gcCycles.Store(u.GCCycles)
	h.gcPause.Store(u.GCPause)
	h.gcCPU.Store(u.GCCPU)
	h.goroutines.Store(u.Goroutines)
	h.heap.Store(u.Heap)
	h.maxFDs.Store(u.MaxFDs)
	runtime.KeepAlive(p)
}

// ProcessStats is what is known of the process that writes the page, given its pid.
func (p *Page) ProcessStats(pid int) stats.ProcessStats {
	u := p.Usage()
	s := stats.ProcessStats{Goroutines: u.Goroutines, Heap: u.Heap, MaxFDs: u.MaxFDs}
	s.OpenFDs, s.Threads = stats.ProcessResources(pid)
	return s
}

// Usage is what SetUsage said last.
func (p *Page) Usage() Usage {
	h := &p.head.usage
	u := Usage{
		Runtime: stats.Runtime{
			CPUUser: h.cpuUser.Load(), CPUSystem: h.cpuSystem.Load(),
			GCCycles: h.gcCycles.Load(), GCPause: h.gcPause.Load(), GCCPU: h.gcCPU.Load(),
		},
		Goroutines: h.goroutines.Load(), Heap: h.heap.Load(), MaxFDs: h.maxFDs.Load(),
	}
	runtime.KeepAlive(p)
	return u
}

// BeginUpgrade counts a connection that is not a request's any more, a websocket say.
func (p *Page) BeginUpgrade() {
	p.head.upgrades.Add(1)
	runtime.KeepAlive(p)
}

// EndUpgrade counts the end of such a connection. It comes after its BeginUpgrade.
func (p *Page) EndUpgrade() {
	p.head.ended.Add(1)
	runtime.KeepAlive(p)
}

// Upgraded is how many of them are open. One that ends meanwhile may count still: read the
// other way round, the difference could be less than nothing.
func (p *Page) Upgraded() uint64 {
	ended := p.head.ended.Load()
	open := p.head.upgrades.Load() - ended
	runtime.KeepAlive(p)
	return open
}

// AvgTime is a moving average over the last requests, an eighth of each new one. It
// answers "how slow is it now", which a lifetime mean cannot after a day.
func (p *Page) AvgTime() time.Duration {
	avg := p.head.average.Load()
	runtime.KeepAlive(p)
	return time.Duration(avg)
}

// average loses an update when two slots end at the same instant, which an average
// forgives and a lock on the hot path would not.
func average(word *atomic.Uint64, took time.Duration) {
	if old := word.Load(); old != 0 {
		took = time.Duration(old) + (took-time.Duration(old))/8
	}
	word.Store(uint64(max(took, 1)))
}
