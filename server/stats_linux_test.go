package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// The goal is 20 ms with 16 workers. This is CPU time, which other processes on the machine
// do not add to, but the race detector does: the bound is ten times the goal, and what was
// measured is in the test's log.
func TestAScrapeCostsTheMasterLittle(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(echoing, "processes = 2\nthreads = 2", "processes = 16\nthreads = 64", 1))
	master := stats.Snapshot{Workers: stats.List[stats.Worker]{{PID: i.PID()}}}
	const scrapes = 50
	for _, path := range []string{"/metrics", "/metrics?compat=uwsgi_exporter", "/stats"} {
		before := cpuTime(t, master)
		var size int
		for range scrapes {
			_, text := page(t, i, "stats", path)
			size = len(text)
		}
		each := (cpuTime(t, master) - before) / scrapes
		t.Logf("%s with 16 workers of 64 slots: %v of CPU time, %d bytes", path, each, size)
		if each > 200*time.Millisecond {
			t.Errorf("%s costs %v of CPU time", path, each)
		}
	}
}
