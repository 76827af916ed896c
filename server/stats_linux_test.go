package server_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A scrape of 16 workers costs the master less than 20 ms. That is a time, of a machine
// where encoding as many numbers as JSON costs 4 ms; on one that is slower now, because
// of its age or of its other guests, it is as many times that. The best of several turns is
// what something costs: the rest is what neighbours took of caches and cores. A turn is ten
// scrapes, because the kernel counts in steps of 10 ms.
func TestAScrapeCostsTheMasterLittle(t *testing.T) {
	const yardsticks, turns, scrapes = 5, 5, 10
	program := programWithoutRace(t)
	i := servertest.LaunchAs(t, strings.Replace(echoing, "processes = 2\nthreads = 2", "processes = 16\nthreads = 64", 1),
		servertest.Process{Program: program})
	rt := i.HTTP("stats").Transport
	master := stats.Snapshot{Workers: stats.List[stats.Worker]{{PID: i.PID()}}}
	for _, path := range []string{"/metrics", "/metrics?compat=uwsgi_exporter", "/stats"} {
		var size int
		var costs, yards [turns]time.Duration
		for turn := range turns {
			yards[turn] = yardstick(t, program)
			before := cpuTime(t, master)
			for range scrapes {
				_, text := get(t, rt, "http://stats"+path)
				size = len(text)
			}
			costs[turn] = (cpuTime(t, master) - before) / scrapes
		}
		cost, yard := slices.Min(costs[:]), slices.Min(yards[:])
		t.Logf("%s of 16 workers with 64 slots: %v of CPU time, %.1f times %v, %d bytes", path, costs, float64(cost)/float64(yard), yard, size)
		if cost > yardsticks*yard {
			t.Errorf("%s costs %v of CPU time, %v is allowed", path, cost, yardsticks*yard)
		}
	}
}

// yardstick is the CPU time of encoding about as many numbers as such a server has, by a process
// that does nothing else.
func yardstick(t *testing.T, program string) time.Duration {
	t.Helper()
	const times = 100
	cmd := exec.Command(program, "-test.run=^$", "-test.bench=^BenchmarkNumbersAsJSON$", fmt.Sprintf("-test.benchtime=%dx", times))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "BenchmarkNumbersAsJSON") {
		t.Fatalf("%v\n%s", err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / times
}

func BenchmarkNumbersAsJSON(b *testing.B) {
	type row struct {
		ID, Requests, Static, Routed, Offloaded, WriteErrors, ReadErrors, InRequest, Start int
		Vars                                                                               []string
	}
	s := make([]row, 6*16*64)
	for b.Loop() {
		if _, err := json.Marshal(s); err != nil {
			b.Fatal(err)
		}
	}
}
