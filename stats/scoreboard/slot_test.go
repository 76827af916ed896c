package scoreboard

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

func TestEveryCounterGoesToItsPlace(t *testing.T) {
	p := newPage(t, 2)
	s := p.Slot(1)
	s.AddRx(10)
	s.AddRx(-1) // what a failed Read returns
	s.AddTx(20)
	s.AddTx(-5)
	s.AddException(NoApp)
	s.AddReadError()
	s.AddReadError()
	for range 3 {
		s.AddWriteError()
	}
	begin(s, 1)
	s.End(NoApp, 204, 3*time.Millisecond)
	begin(s, 2)
	s.End(NoApp, 0, -time.Second)
	begin(s, 3)
	s.End(NoApp, 503, time.Hour)
	for range 7 {
		p.AddReject(NoApp, stats.RejectQueueTimeout)
	}

	want := stats.Counters{
		Requests: 3, Exceptions: 1, ReadErrors: 2, WriteErrors: 3, Rx: 10, Tx: 20,
		Busy: uint64(3*time.Millisecond + time.Hour + 1), Status: [6]uint64{0: 1, 2: 1, 5: 1},
	}
	want.Latency[stats.LatencyBucket(3*time.Millisecond)]++
	want.Latency[0]++
	want.Latency[stats.NumBuckets-1]++
	core := stats.CoreCounters{Requests: 3, Exceptions: 1, ReadErrors: 2, WriteErrors: 3, Rx: 10, Tx: 20}
	if cores := p.Cores(); cores[1] != core || cores[0] != (stats.CoreCounters{}) {
		t.Errorf("cores\n%+v, want\n%+v", cores, core)
	}
	want.Rejects[0] = 7
	if got := p.Totals(); got != want {
		t.Errorf("totals\n%+v, want\n%+v", got, want)
	}
}

func TestTextsAreCutToTheirRoom(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, c := range []struct{ name, method, path, peer, wantMethod, wantPath, wantPeer string }{
		{"short", "GET", "/", "@", "GET", "/", "@"},
		{"nothing", "", "", "", "", "", ""},
		{"exactly a word", "OPTIONS!", "/2345678", "1.2.3.45", "OPTIONS!", "/2345678", "1.2.3.45"},
		{"too long", long, long, long, long[:16], long[:160], long[:64]},
		{"a query string", "GET", "/login?password=x?y", "p", "GET", "/login", "p"},
		{"only a query string", "GET", "?a", "p", "GET", "", "p"},
		{"a query string beyond the room", "GET", long[:159] + "?secret", "p", "GET", long[:159], "p"},
		{"not UTF-8", "\xff", "/\x00\xfe", "\n", "\xff", "/\x00\xfe", "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPage(t, 1)
			p.Slot(0).Begin(1, time.Unix(1, 2), long, long, long) // what must not shine through
			p.Slot(0).Begin(2, time.Unix(3, 4), c.method, c.path, c.peer)
			want := stats.InFlight{ID: 2, Start: time.Unix(3, 4), Method: c.wantMethod, Path: c.wantPath, Peer: c.wantPeer}
			if got := p.InFlight(); len(got) != 1 || got[0] != want {
				t.Errorf("in flight %+v, want %+v", got, want)
			}
		})
	}
}

func TestNoTornReadIsEverReturned(t *testing.T) {
	const requests, readers = 20000, 3
	p := newPage(t, 1)
	s := p.Slot(0)
	var seen atomic.Int64
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			var last uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, r := range p.InFlight() {
					assertWhole(t, r)
					if r.ID < last {
						t.Errorf("request %d after %d", r.ID, last)
					}
					last = r.ID
					seen.Add(1)
				}
			}
		})
	}
	// As many requests as it takes for the readers to have met some.
	end := time.Now().Add(deadline)
	for id := uint64(1); id <= requests || seen.Load() < 1000 && time.Now().Before(end); id++ {
		begin(s, id)
		if id%3 != 0 { // now and then no End, as if the holder had lost its way
			s.End(NoApp, 200, 0)
		}
	}
	close(stop)
	reading.Wait()
	if seen.Load() < 1000 {
		t.Errorf("the readers saw %d requests: nothing was tested", seen.Load())
	}
}

func TestAWriterThatDiedWhileWritingHoldsNoReader(t *testing.T) {
	p := newPage(t, 2)
	s := p.Slot(0)
	begin(s, 1)
	s.row.inflight.seq.Store(4*17 + phaseWriting)
	begin(p.Slot(1), 2)
	if list := p.InFlight(); len(list) != 1 || list[0].Slot != 1 {
		t.Errorf("in flight %+v, want the other slot's only", list)
	}
	begin(s, 3)
	if list := p.InFlight(); len(list) != 2 || list[0].ID != 3 {
		t.Errorf("in flight %+v after the slot was used again", list)
	}
}

func TestEndWithoutBeginLeavesTheSlotFree(t *testing.T) {
	p := newPage(t, 1)
	p.Slot(0).End(NoApp, 500, 0)
	if p.Slot(0).InUse() || len(p.InFlight()) != 0 || p.Totals().Status[5] != 1 {
		t.Errorf("in use %v, totals %+v", p.Slot(0).InUse(), p.Totals())
	}
}

func TestAvgTimeFollowsTheLastRequests(t *testing.T) {
	p := newPage(t, 1)
	if p.AvgTime() != 0 {
		t.Errorf("average of nothing: %v", p.AvgTime())
	}
	p.Slot(0).End(NoApp, 200, 8*time.Millisecond)
	if got := p.AvgTime(); got != 8*time.Millisecond {
		t.Errorf("average of one request: %v", got)
	}
	p.Slot(0).End(NoApp, 200, 16*time.Millisecond)
	if got := p.AvgTime(); got != 9*time.Millisecond {
		t.Errorf("an eighth of the new one: %v, want 9ms", got)
	}
	for range 100 {
		p.Slot(0).End(NoApp, 200, time.Millisecond)
	}
	if got := p.AvgTime(); got < time.Millisecond || got > 1001*time.Microsecond {
		t.Errorf("after a hundred requests of 1ms: %v", got)
	}
}

func TestBeginAndEndAllocateNothing(t *testing.T) {
	s := newPage(t, 1).Slot(0)
	start, path := time.Now(), "/a/path/of/some/length?and=a&query=string"
	if n := testing.AllocsPerRun(100, func() {
		s.Begin(1, start, "GET", path, "192.168.100.100:65535")
		s.AddRx(100)
		s.AddTx(100)
		s.End(NoApp, 200, time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	s := newPage(b, 1).Slot(0)
	start := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.Begin(1, start, "GET", "/a/path/of/some/length", "192.168.100.100:65535")
		s.AddRx(100)
		s.AddTx(100)
		s.End(NoApp, 200, time.Millisecond)
	}
}

func BenchmarkRequestsInEverySlot(b *testing.B) {
	p := newPage(b, 64)
	start := time.Now()
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := p.Slot(int(next.Add(1)-1) % p.Slots())
		for pb.Next() {
			s.Begin(1, start, "GET", "/a/path/of/some/length", "192.168.100.100:65535")
			s.AddRx(100)
			s.AddTx(100)
			s.End(NoApp, 200, time.Millisecond)
		}
	})
}

func BenchmarkTotals(b *testing.B) {
	p := newPage(b, 64)
	b.ReportAllocs()
	for b.Loop() {
		p.Totals()
	}
}
