package stats

import (
	"reflect"
	"testing"
	"time"
)

func TestFillDerivesAWorker(t *testing.T) {
	c := Counters{
		Requests: 4, Exceptions: 1, ReadErrors: 9, WriteErrors: 8, Rejects: Rejects{2, 1}, Upgrades: 2, Rx: 50, Tx: 60,
		Busy: uint64(10 * time.Millisecond), Status: [6]uint64{6, 1, 2, 3, 4, 5},
	}
	c.Latency[LatencyBucket(2*time.Millisecond)] = 4
	w := Worker{ID: 2, PID: 7}
	w.Fill(c, []CoreCounters{{Requests: 3}, {Requests: 1, ReadErrors: 9, WriteErrors: 8}}, nil, start())

	if w.Requests != 4 || w.Exceptions != 1 || w.Rejected != 3 || w.Upgrades != 2 || w.Rx != 50 || w.Tx != 60 {
		t.Errorf("counts are %+v", w)
	}
	if w.RunningTime != 10_000 || w.AvgRT != 2500 {
		t.Errorf("running_time %d µs, avg_rt %d µs, want 10000 and 2500", w.RunningTime, w.AvgRT)
	}
	if want := (StatusCodes{1, 2, 3, 4, 5, 6}); w.StatusCodes != want {
		t.Errorf("status codes %+v, want %+v", w.StatusCodes, want)
	}
	cores := List[Core]{{ID: 0, Requests: 3}, {ID: 1, Requests: 1, ReadErrors: 9, WriteErrors: 8}}
	if !reflect.DeepEqual(w.Cores, cores) {
		t.Errorf("cores %+v, want %+v", w.Cores, cores)
	}
}

func TestFillKeepsAMovingAverage(t *testing.T) {
	w := Worker{AvgRT: 77}
	w.Fill(Counters{Requests: 1, Busy: 1e9}, nil, nil, start())
	if w.AvgRT != 77 {
		t.Errorf("avg_rt = %d, want the 77 that was set", w.AvgRT)
	}
}

func TestStatusWords(t *testing.T) {
	running := []InFlight{{Slot: 0, Start: start()}}
	for _, c := range []struct {
		pid      int
		inflight []InFlight
		want     Status
	}{
		{0, nil, Cheap},
		{0, running, Cheap}, // its page is still there, its process is not
		{7, nil, Idle},
		{7, running, Busy},
	} {
		w := Worker{PID: c.pid}
		w.Fill(Counters{}, nil, c.inflight, start())
		if w.Status != c.want {
			t.Errorf("pid %d, %d in flight: %q, want %q", c.pid, len(c.inflight), w.Status, c.want)
		}
	}
}

func TestFillSurvivesAPageThatLies(t *testing.T) {
	var w Worker
	future := start().Add(time.Hour)
	w.Fill(Counters{}, make([]CoreCounters, 1), []InFlight{{Slot: 7, Start: future}, {Slot: -1, Start: future}}, start())
	if len(w.Cores) != 1 || w.Cores[0].InRequest != 0 {
		t.Errorf("cores %+v", w.Cores)
	}
	for _, r := range w.InFlight {
		if r.AgeMS != 0 {
			t.Errorf("a request from the future is %d ms old", r.AgeMS)
		}
	}
}

func TestQuantiles(t *testing.T) {
	at := func(pairs ...uint64) (n [NumBuckets]uint64) {
		for i := 0; i < len(pairs); i += 2 {
			n[pairs[i]] = pairs[i+1]
		}
		return n
	}
	const last = NumBuckets - 1
	for _, c := range []struct {
		name          string
		n             [NumBuckets]uint64
		p50, p90, p99 uint64
	}{
		{"nothing yet", at(), 0, 0, 0},
		{"one bucket is taken as even", at(0, 100), 50, 90, 99},
		{"one request", at(3, 1), 750, 950, 995},
		{"a slow tail", at(0, 90, 13, 10), 55, 100, 2350000},
		{"an empty bucket between", at(0, 50, 2, 50), 100, 450, 495},
		{"beyond the last bound", at(last, 5), 60000000, 60000000, 60000000},
		{"no overflow", at(0, 1<<63, 1, 1<<63), 100, 220, 247},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := latency(c.n, 0)
			if l.P50 != c.p50 || l.P90 != c.p90 || l.P99 != c.p99 {
				t.Errorf("p50 %d p90 %d p99 %d, want %d %d %d", l.P50, l.P90, l.P99, c.p50, c.p90, c.p99)
			}
		})
	}
}

func TestLatencyExplainsItself(t *testing.T) {
	var n [NumBuckets]uint64
	n[0], n[NumBuckets-1] = 3, 4
	l := latency(n, 9_999)
	if len(l.Bounds) != NumBuckets-1 || l.Bounds[0] != 100 || l.Bounds[NumBuckets-2] != 60_000_000 {
		t.Errorf("bounds %v", l.Bounds)
	}
	if len(l.Buckets) != NumBuckets || l.Buckets[0] != 3 || l.Buckets[NumBuckets-1] != 4 {
		t.Errorf("buckets %v", l.Buckets)
	}
	if l.Count != 7 || l.Sum != 9 {
		t.Errorf("%d durations of %d µs together, want 7 of 9", l.Count, l.Sum)
	}
}
