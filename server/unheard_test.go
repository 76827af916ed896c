package server_test

import (
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A worker that is killed takes along what it has counted since it was last asked, and
// nothing else: what was told stays told, and the other workers lose nothing.
func TestAKillTakesOnlyWhatWasNotTold(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, counted)
	rt := i.HTTP("http").Transport
	var answered uint64
	serve := func(n int64) stats.Snapshot {
		t.Helper()
		load := servertest.Run(t, 8, hit(rt))
		i.Until("requests are answered", func() bool { return load.Done() >= n })
		load.MustLoseNothing()
		answered += uint64(load.Done())
		return i.WaitFor("they are counted", func(s stats.Snapshot) bool { return sumOf(s).requests == answered && busy(s) == 0 })
	}
	var hits float64
	atLeast := func(n uint64) float64 { // a look may be one too early: a worker that is slow is not waited for
		t.Helper()
		i.Until("the hits are told", func() bool {
			now := look(t, i, "stats")["app_hits_total"]
			if now < hits || now > float64(answered) {
				t.Fatalf("from %v hits to %v, after %d answers", hits, now, answered)
			}
			hits = now
			return hits >= float64(n)
		})
		return hits
	}
	before := serve(100)
	told := atLeast(answered)
	after := serve(200) // nobody scrapes: a look at the JSON asks no worker

	victim, since := 0, uint64(0)
	for n, w := range after.Workers {
		if served := w.Requests - before.Workers[n].Requests; served > since {
			victim, since = n, served
		}
	}
	pid := after.Workers[victim].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.WaitFor("the killed one has a successor", func(s stats.Snapshot) bool { return s.Ready == 4 && s.Workers[victim].PID != pid })
	left := atLeast(answered - since)
	t.Logf("%v hits were told, %d requests were answered, %d since by the killed one: %v hits are left", told, answered, since, left)
	serve(100)
	atLeast(answered - since)
}
