package server

import (
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

func TestStatusTellsOfTheLastReloadAndOfSilentWorkers(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	failed := &stats.LastReload{Generation: 3, Step: "canary", Reason: "no such table: users\n\ngoroutine 1", Began: began.Unix(), TookMS: 1200}
	printed := *failed
	printed.Words = strings.Repeat("line\n", shownWords) + "last words"
	live := &stats.LastReload{Generation: 4, Step: "live", OK: 1, Began: began.Unix(), TookMS: 40}
	for name, c := range map[string]struct {
		snapshot stats.Snapshot
		want     []string
		never    string
	}{
		"none":     {stats.Snapshot{}, nil, "last reload"},
		"live":     {stats.Snapshot{LastReload: live}, []string{"last reload: 2026-03-04 05:06:07, generation 4, took 40ms\n"}, "rejected"},
		"rejected": {stats.Snapshot{LastReload: failed}, []string{"generation 3, took 1.2s, rejected at canary: no such table: users\n    goroutine 1\n"}, "all of it"},
		"words":    {stats.Snapshot{LastReload: &printed}, []string{"    line\n    ... (all of it: status --json)\n"}, "last words"},
		"silent": {stats.Snapshot{Workers: []stats.Worker{{State: "ready", HeartbeatAgeMS: 61_400}, {State: "booting", HeartbeatAgeMS: 900}}},
			[]string{"ready (silent for 1m1s)", "booting  "}, "booting (silent"},
	} {
		var out strings.Builder
		if err := printStatus(&out, c.snapshot); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out.String())
			}
		}
		if strings.Contains(out.String(), c.never) {
			t.Errorf("%s: there is %q in\n%s", name, c.never, out.String())
		}
	}
}
