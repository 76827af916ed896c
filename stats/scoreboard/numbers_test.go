package scoreboard

import (
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

func TestWaitsAreCountedWhenTheyEnd(t *testing.T) {
	p := newPage(t, 1)
	for range 3 {
		p.BeginWait()
	}
	p.EndWait(3 * time.Millisecond)
	p.EndWait(-time.Second) // a clock that was set back
	want := stats.Counters{Waited: uint64(3 * time.Millisecond)}
	want.Waits[0]++
	want.Waits[stats.LatencyBucket(3*time.Millisecond)]++
	if got := p.Totals(); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if n := p.Waiting(); n != 1 {
		t.Errorf("%d requests wait, want 1", n)
	}
}

func TestUsageIsWhatWasSaidLast(t *testing.T) {
	p := newPage(t, 1)
	p.SetUsage(Usage{Goroutines: 99, Heap: 98})
	want := Usage{Runtime: stats.Runtime{CPUUser: 1, CPUSystem: 2, GCCycles: 3, GCPause: 4, GCCPU: 5}, Goroutines: 6, Heap: 7, MaxFDs: 8}
	p.SetUsage(want)
	if got := p.Usage(); got != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
	if got := p.Totals().Runtime; got != want.Runtime {
		t.Errorf("among the totals %+v, want %+v", got, want.Runtime)
	}
}

// What is read while requests end agrees with itself.
func TestTheNumbersOfOneReadingAgree(t *testing.T) {
	p := newPageFor(t, 2, 2)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for id := 0; ; id++ {
			select {
			case <-stop:
				return
			default:
				p.Slot(id % 2).AddRx(int64(id % 11))
				p.Slot(id % 2).AddTx(int64(id % 13))
				p.Slot(id % 2).AddWriteError()
				p.Slot(id%2).End(id%3, 100*(id%7), time.Duration(id%5)*time.Millisecond)
			}
		}
	}()
	var last uint64
	until(t, "a thousand requests", func() bool {
		n := p.Numbers()
		var cores stats.CoreCounters
		var apps stats.Counters
		for _, c := range n.Cores {
			cores = cores.Add(c)
		}
		for _, a := range n.Apps {
			apps = apps.AddApp(a)
		}
		apps = apps.AddCore(cores)
		if cores.Requests != n.Total.Requests || cores.Tx != n.Total.Tx || cores.WriteErrors != n.Total.WriteErrors || apps != n.Total {
			t.Fatalf("one reading has\n%+v in all\n%+v in the slots\n%+v in the apps", n.Total, cores, apps)
		}
		var answers, durations uint64
		for _, k := range n.Total.Status {
			answers += k
		}
		for _, k := range n.Total.Latency {
			durations += k
		}
		if answers != n.Total.Requests || durations != n.Total.Requests || n.Total.Requests < last {
			t.Fatalf("%d requests, %d answers, %d durations, and %d requests before", n.Total.Requests, answers, durations, last)
		}
		last = n.Total.Requests
		return last > 1000
	})
	close(stop)
	<-stopped
}
