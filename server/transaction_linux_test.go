package server_test

import (
	"testing"
)

// A deploy after the other: each makes the master another program, in the same process,
// under clients of every kind. Nobody notices, and nothing grows.
func TestDeploysInARowLoseNothing(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping)
	loads := s.customers(t, s.behindNginx(t), 2)
	watch := watchTotals(t, s.Instance)
	began := s.Stats().StartedAt
	deploy := func(n int) {
		s.deploy("")
		s.reload()
		now := s.Stats()
		if now.Build != s.build().ID || now.PID != s.PID() || now.StartedAt != began || now.Reloads.OK != uint64(n) {
			t.Fatalf("after deploy %d of build %s: build %s, pid %d, started at %d (%d before), %+v",
				n, s.build().ID, now.Build, now.PID, now.StartedAt, began, now.Reloads)
		}
		s.succeeded()
		s.requestsFlow(loads)
	}
	rounds := soaking(10, 200)
	warm := max(rounds/10, 4)
	for n := range warm {
		deploy(n + 1)
	}
	before := s.weigh(t, 2)
	for n := warm; n < rounds; n++ {
		deploy(n + 1)
	}
	for _, l := range loads {
		l.MustLoseNothing()
	}
	watch.stop()
	after := s.weigh(t, 2)
	s.Until("descriptors are as before", func() bool {
		after.descriptors = descriptors(t, s.PID())
		return after.descriptors <= before.descriptors
	})
	t.Logf("%d deploys, %d requests: %+v, then %+v", rounds, total(loads), before, after)
	// The threads of a Go program come as they are needed and stay; 8 MiB is the noise of a
	// heap. A leak of one thread, or of a page, for each deploy would be more.
	if after.threads > before.threads+8 || after.memory > before.memory+8<<20 {
		t.Errorf("the master grew over %d deploys: %+v, then %+v", rounds-warm, before, after)
	}
}
