package worker

import (
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// What is asked of the runtime at each heartbeat. All of it is answered without stopping the
// world.
const (
	metricGoroutines = iota
	metricHeap
	metricCycles
	metricGCSeconds // brought up to date by each cycle only
	numMetrics
)

// pulse shows on the scoreboard that the process is alive and what it uses. It is for one
// goroutine at a time.
type pulse struct {
	page    *scoreboard.Page
	samples [numMetrics]metrics.Sample
	gc      debug.GCStats // kept for its memory
}

func newPulse(page *scoreboard.Page) *pulse {
	p := &pulse{page: page}
	p.samples = [numMetrics]metrics.Sample{
		metricGoroutines: {Name: "/sched/goroutines:goroutines"},
		metricHeap:       {Name: "/memory/classes/heap/objects:bytes"},
		metricCycles:     {Name: "/gc/cycles/total:gc-cycles"},
		metricGCSeconds:  {Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	return p
}

// beat measures first: who sees the heartbeat of now sees no older numbers.
func (p *pulse) beat(now time.Time) {
	p.page.SetUsage(p.measure())
	p.page.Beat(now)
}

func (p *pulse) measure() scoreboard.Usage {
	metrics.Read(p.samples[:])
	debug.ReadGCStats(&p.gc)
	u := scoreboard.Usage{
		Goroutines: p.number(metricGoroutines),
		Heap:       p.number(metricHeap),
	}
	u.GCCycles = p.number(metricCycles)
	u.GCPause = uint64(p.gc.PauseTotal)
	if v := p.samples[metricGCSeconds].Value; v.Kind() == metrics.KindFloat64 {
		u.GCCPU = uint64(v.Float64() * float64(time.Second))
	}
	var self syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) == nil {
		u.CPUUser, u.CPUSystem = uint64(self.Utime.Nano()), uint64(self.Stime.Nano())
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		u.MaxFDs = uint64(files.Cur)
	}
	return u
}

// number is 0 for a metric that this version of Go does not have any more.
func (p *pulse) number(i int) uint64 {
	if v := p.samples[i].Value; v.Kind() == metrics.KindUint64 {
		return v.Uint64()
	}
	return 0
}
