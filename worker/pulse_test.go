package worker

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

func TestAHeartbeatShowsWhatTheProcessUses(t *testing.T) {
	page, f, err := scoreboard.Create(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := newPulse(page)
	runtime.GC() // what other tests left behind would make up for the ballast
	p.beat(time.Unix(1, 0))
	before := page.Usage()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || before.MaxFDs != uint64(limit.Cur) {
		t.Errorf("at most %d descriptors, want %d, %v", before.MaxFDs, limit.Cur, err)
	}
	if before.Goroutines < 2 || before.Heap == 0 || before.CPUUser+before.CPUSystem == 0 {
		t.Errorf("usage %+v", before)
	}

	stop := make(chan struct{})
	defer close(stop)
	for range 100 {
		go func() { <-stop }()
	}
	ballast := make([]byte, 32<<20)
	for range 3 {
		runtime.GC()
	}
	p.beat(time.Unix(2, 0))
	after := page.Usage()
	if after.Goroutines < before.Goroutines+100 || after.Heap < before.Heap+uint64(len(ballast))/2 {
		t.Errorf("with 100 goroutines and 32 MiB more\n%+v, before\n%+v", after, before)
	}
	if after.GCCycles < before.GCCycles+3 || after.GCPause <= before.GCPause || after.GCCPU <= before.GCCPU {
		t.Errorf("after three collections\n%+v, before\n%+v", after, before)
	}
	if used := func(u scoreboard.Usage) uint64 { return u.CPUUser + u.CPUSystem }; used(after) <= used(before) {
		t.Errorf("after work %d ns of CPU, before %d", used(after), used(before))
	}
	if !page.Heartbeat().Equal(time.Unix(2, 0)) {
		t.Errorf("heartbeat %v", page.Heartbeat())
	}
	runtime.KeepAlive(ballast)
}

func TestAHeartbeatAllocatesNothing(t *testing.T) {
	page, f, err := scoreboard.Create(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := newPulse(page)
	p.beat(time.Now())
	if n := testing.AllocsPerRun(20, func() { p.beat(time.Now()) }); n > 0 {
		t.Errorf("%v allocations: an idle worker would collect garbage for ever", n)
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	page, f, err := scoreboard.Create(1, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := newPulse(page)
	b.ReportAllocs()
	for b.Loop() {
		p.beat(time.Now())
	}
}
