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
}

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

// look finds the processes that are beyond help.
func (l *loop) look() {
	for inc, r := range l.procs {
		if r.proc == nil || l.machine.procs[inc].phase != Ready {
			continue
		}
		if sick, ok := l.diagnose(r); ok {
			l.take(note{ev: sick})
		}
	}
}

func (l *loop) diagnose(r *running) (evSick, bool) {
	beat := r.proc.Page().Heartbeat()
	if beat.IsZero() || !beat.Equal(r.health.beat) { // zero: a program that gives none
		r.health = health{beat: beat}
	} else if r.health.silent++; r.health.silent >= wedged {
		r.health = health{beat: beat} // it is told once
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
