package server_test

import (
	"runtime"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A master that reloads again and again, and stays the program it is, keeps no goroutine of
// the reloads. It runs in this process; nothing else does meanwhile.
func TestReloadsLeaveNoGoroutines(t *testing.T) {
	i := servertest.Start(t, echoing, apps()...)
	reload := func(times int) int {
		for range times {
			if out, code := i.Command("reload"); code != 0 {
				t.Fatalf("reload: exit code %d\n%s", code, out)
			}
		}
		i.WaitFor("the old workers are gone", func(s stats.Snapshot) bool {
			return s.Ready == 2 && len(children(t, i.PID())) == 2
		})
		return runtime.NumGoroutine()
	}
	few := reload(3)
	i.Until("no goroutine is left of more of them", func() bool { return reload(soaking(6, 12)) <= few })
}
