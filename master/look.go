package master

import (
	"cmp"
	"fmt"
	"time"

	"github.com/seed17661985/ostler/stats"
)

const (
	// lookEvery is how often the processes are looked at, which is how often they give a sign
	// of life.
	lookEvery = time.Second

	// wedged is how many looks in a row may see no new sign of life. They are counted, not
	// timed: a machine that was suspended has been so for master and workers alike.
	wedged = 30
)

// health is what the looks at a process have seen.
type health struct {
	beat   time.Time
	silent int // looks since beat
	heavy  int // looks in a row that saw more memory than reload-on-rss
}

// heavyLooks is how many looks have to see too much memory: a request may need it for a
// moment.
const heavyLooks = 3

// startLooking posts the looks, until the function it returns is called.
func (l *loop) startLooking() (stop func()) {
	tick := time.NewTicker(cmp.Or(l.options.lookEvery, lookEvery))
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick.C:
				l.master.mail.post(note{look: true})
			case <-quit:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(quit)
		<-ended
	}
}

// look finds the processes that are beyond help, compares the others, and sees how busy they are.
func (l *loop) look() {
	defer l.measure()
	l.compareShares()
	for inc, r := range l.procs {
		if r.proc == nil || l.machine.procs[inc].phase != Ready {
			continue
		}
		if sick, ok := l.diagnose(r); ok {
			l.take(note{ev: sick})
		} else if reason := l.wornOut(r, l.machine.procs[inc]); reason != "" {
			l.take(note{ev: evRetire{inc: inc, reason: reason, ours: true}})
		}
	}
}

// wornOut says why it is time for a successor, or nothing.
func (l *loop) wornOut(r *running, p *process) string {
	plan, age := l.gens[r.gen].plan, l.machine.served(p)
	if p.retiring != "" || age < plan.MinLifetime {
		return ""
	}
	if plan.MaxLifetime > 0 && age >= plan.MaxLifetime-time.Duration(float64(plan.MaxLifetime)/10*r.jitter) {
		return fmt.Sprintf("lifetime: %s", age.Round(time.Second))
	}
	if plan.RSS == 0 {
		return ""
	}
	rss, _ := stats.ProcessMemory(r.proc.PID())
	if rss <= plan.RSS {
		r.health.heavy = 0
	} else if r.health.heavy++; r.health.heavy >= heavyLooks {
		return fmt.Sprintf("memory: %d MiB", rss>>20)
	}
	return ""
}

func (l *loop) diagnose(r *running) (evSick, bool) {
	beat := r.proc.Page().Heartbeat()
	if beat.IsZero() || !beat.Equal(r.health.beat) { // zero: a program that gives none
		r.health.beat, r.health.silent = beat, 0
	} else if r.health.silent++; r.health.silent >= wedged {
		r.health.silent = 0 // it is told once
		return evSick{r.inc, stats.ExitUnresponsive, fmt.Sprintf("gave no sign of life for %s: the process is stopped or wedged", wedged*lookEvery)}, true
	}
	limit := l.gens[r.gen].plan.EvilRSS
	if limit == 0 {
		return evSick{}, false
	}
	rss, _ := stats.ProcessMemory(r.proc.PID())
	if rss <= limit {
		return evSick{}, false
	}
	return evSick{r.inc, stats.ExitMemory, fmt.Sprintf("has %d MiB of memory, evil-reload-on-rss allows %d", rss>>20, limit>>20)}, true
}
