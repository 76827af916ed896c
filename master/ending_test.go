package master

import (
	"testing"

	"github.com/seed17661985/ostler/stats"
)

func TestARetirementIsCountedByItsFirstWord(t *testing.T) {
	for reason, want := range map[string]stats.Exit{
		"harakiri: GET /slow ran for 31s":     stats.ExitHarakiri,
		"memory: 612 MiB":                     stats.ExitMemory,
		"lifetime":                            stats.ExitLifetime,
		"max_requests: 5000":                  stats.ExitMaxRequests,
		"SIGTERM":                             stats.ExitRetired,
		"signal: nothing for a worker to say": stats.ExitRetired,
		"no reason given":                     stats.ExitRetired,
		"":                                    stats.ExitRetired,
	} {
		if got := retirement(reason); got != want {
			t.Errorf("retirement(%q) = %v, want %v", reason, got, want)
		}
	}
}

func TestReloadsAreCountedByHowFarTheyCame(t *testing.T) {
	var r reloads
	for s := StepLoad; s <= StepLive; s++ {
		r.count(s)
	}
	if want := (reloads{OK: 1, RolledBack: 2, Rejected: 3}); r != want {
		t.Errorf("counted %+v, want %+v", r, want)
	}
}
