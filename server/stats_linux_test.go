package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A scrape of 16 workers costs the master less than 20 ms. This is CPU time: what else runs on
// the machine does not count, but takes caches and the other half of a core, which can double
// it, and never makes it less. So the best of several turns is what it costs. A turn is
// ten scrapes, because the kernel counts in steps of 10 ms.
func TestAScrapeCostsTheMasterLittle(t *testing.T) {
	const most, turns, scrapes = 20 * time.Millisecond, 5, 10
	i := servertest.LaunchAs(t, strings.Replace(echoing, "processes = 2\nthreads = 2", "processes = 16\nthreads = 64", 1),
		servertest.Process{Program: programWithoutRace(t)})
	rt := i.HTTP("stats").Transport
	master := stats.Snapshot{Workers: stats.List[stats.Worker]{{PID: i.PID()}}}
	for _, path := range []string{"/metrics", "/metrics?compat=uwsgi_exporter", "/stats"} {
		var size int
		costs := make([]time.Duration, turns)
		for turn := range costs {
			before := cpuTime(t, master)
			for range scrapes {
				_, text := get(t, rt, "http://stats"+path)
				size = len(text)
			}
			costs[turn] = (cpuTime(t, master) - before) / scrapes
		}
		slices.Sort(costs)
		t.Logf("%s of 16 workers with 64 slots: %v of CPU time, %d bytes", path, costs, size)
		if costs[0] > most {
			t.Errorf("%s costs %v of CPU time, %v is allowed", path, costs[0], most)
		}
	}
}
