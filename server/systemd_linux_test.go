package server_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// To systemd the program that takes the master's place is the one that was there before: it
// says nothing of a start, and goes on. Here the interval of the watchdog is so long that
// each program gives its first sign of life only.
func TestSystemdHearsTheSameProcessAfterASuccession(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	m, path := newManager(t, filepath.Join(dir, "notify")), filepath.Join(dir, "app")
	program(t, path)
	p := m.as("WATCHDOG_USEC=3600000000")
	p.Program = path
	i := servertest.LaunchAs(t, echoing, p)
	ready := "READY=1|STATUS=serving, generation %d, build " + i.Stats().Build + ", 2 workers"
	heard := []string{m.hears(), m.hears(), m.hears()} // the sign of life comes when it comes
	n := slices.Index(heard, "WATCHDOG=1")
	if n < 0 || !slices.Equal(slices.Delete(heard, n, n+1), []string{hearsStart, fmt.Sprintf(ready+"|MAINPID=%d", 1, i.PID())}) {
		t.Fatalf("systemd hears of the start %q", heard)
	}
	for generation := 2; generation < 4; generation++ {
		program(t, path)
		since := monotonic()
		i.Signal(syscall.SIGHUP)
		m.mustHearReloading(since)
		m.mustHear(step(generation, "load", 75), step(generation, "canary", 75), step(generation, "roll", 75), fmt.Sprintf(ready, generation))
		m.mustHear("EXTEND_TIMEOUT_USEC=25000000", "WATCHDOG=1") // the last of one program, the first of the next
	}
	i.Signal(syscall.SIGTERM)
	m.mustHear(hearsStop)
	if err := i.Wait(); err != nil {
		t.Errorf("the master ended with %v\n%s", err, i.Log())
	}
	m.mustHearNoMore()
	if took := strings.Count(i.Log(), "took over"); took != 2 {
		t.Errorf("%d programs took over, want 2:\n%s", took, i.Log())
	}
}
