package master

import (
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/master/cgroup"
	"github.com/seed17661985/ostler/worker/control"
)

// resources are what all processes of a server have together.
type resources struct {
	cpus   int
	memory uint64 // bytes; zero: nobody limits it
}

// survey asks the system, each time anew: a container's limits can be changed while it runs.
func survey() resources {
	limits, _ := cgroup.Read("/") // what cannot be read is no limit
	return resourcesOf(runtime.NumCPU(), limits)
}

// resourcesOf makes whole CPUs of a quota: with two and a half, three can be busy most of
// the time.
func resourcesOf(cpus int, limits cgroup.Limits) resources {
	if limits.CPUs > 0 && limits.CPUs < float64(cpus) {
		cpus = max(1, int(math.Ceil(limits.CPUs)))
	}
	return resources{cpus: cpus, memory: limits.Memory}
}

const (
	// memoryPart is how much of the memory the workers share, in percent. The rest is for what
	// the Go runtime does not count, and for the master.
	memoryPart = 90

	// memoryLeast is no share any more: a limit below what a program needs at least makes it
	// collect garbage all the time, and keeps nobody from running out of memory.
	memoryLeast = 16 << 20
)

// share is what each of so many workers may use. What the operator decided is left alone.
func (p Plan) share(all resources, workers int) control.Share {
	workers = max(workers, 1)
	s := control.Share{
		Procs:  max((all.cpus+workers-1)/workers, 1),
		Memory: all.memory / 100 * memoryPart / uint64(workers),
	}
	if p.Affinity > 0 {
		s.Procs = min(s.Procs, p.Affinity)
	}
	if s.Memory > 0 {
		s.Memory = max(s.Memory, memoryLeast)
	}
	if p.sets("GOMAXPROCS") {
		s.Procs = 0
	}
	if p.sets("GOMEMLIMIT") {
		s.Memory = 0
	}
	return s
}

// sets reports whether a variable is in the environment of the workers.
func (p Plan) sets(name string) bool {
	return slices.ContainsFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

// shareOut tells the workers of a generation what they may use, now that others share it.
// Those to come are born with it.
func (l *loop) shareOut(gen int) {
	all := l.options.survey()
	for inc, r := range l.procs {
		if r.gen == gen {
			r.say(l.gens[gen].plan.share(all, l.machine.procs[inc].gen.workers))
		}
	}
}

// turn gives a worker, by its slot, the n CPUs whose turn it is, as uWSGI does; none if n is
// zero or nobody knows which CPUs there are.
func turn(cpus []int, n, slot int) []int {
	n = min(n, len(cpus))
	mine := make([]int, n)
	for i := range mine {
		mine[i] = cpus[((slot-1)*n+i)%len(cpus)]
	}
	return mine
}
