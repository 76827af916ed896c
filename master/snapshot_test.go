package master

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAWedgedWorkerCanBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		age := func() int64 { return m.Snapshot().Workers[0].HeartbeatAgeMS }
		<-time.After(7 * time.Second)
		if ms := age(); ms != 7000 {
			t.Errorf("without any heartbeat its age is %d ms, want that of the process", ms)
		}
		l.latest(1).page.Beat(time.Now())
		<-time.After(3 * time.Second)
		if ms := age(); ms != 3000 {
			t.Errorf("3 s after a heartbeat its age is %d ms", ms)
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
		if ms := age(); ms != 0 {
			t.Errorf("without a process the heartbeat is %d ms old", ms)
		}
	})
}

func TestTheAverageIsOfTheLastRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		page := l.latest(1).page
		row := page.Slot(0)
		for id := range uint64(100) {
			took := time.Millisecond
			if id < 10 {
				took = time.Minute // long ago
			}
			row.Begin(id, time.Now(), "GET", "/", "")
			row.End(0, 200, took)
		}
		want := uint64(page.AvgTime().Microseconds())
		if got := m.Snapshot().Workers[0].AvgRT; got != want || got > 10_000 {
			t.Errorf("avg_rt is %d µs, want %d", got, want)
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
