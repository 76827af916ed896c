package endpoint

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/stats"
)

// deadline is for events that come within milliseconds on a healthy machine.
const deadline = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixed always gives the same snapshot.
type fixed stats.Snapshot

func (f fixed) Snapshot() stats.Snapshot { return stats.Snapshot(f) }

// sample is a master with a worker that serves, one that waits for its respawn, one that
// was never spawned, and one that was taken away.
func sample() fixed {
	at := time.Unix(1700000000, 0)
	busy := stats.Worker{ID: 1, PID: 4711, RSS: 1 << 20, RespawnCount: 3, Accepting: 1, Upgraded: 7}
	c := stats.Counters{Requests: 21, Exceptions: 1, Rejects: stats.Rejects{2}, Upgrades: 9, Rx: 300, Tx: 400, Busy: 1_500_000_000}
	c.Status = [6]uint64{1, 2, 3, 4, 5, 6}
	c.Latency[0], c.Latency[2], c.Latency[stats.NumBuckets-1] = 10, 5, 6
	busy.Fill(c, []stats.Counters{c, {}}, []stats.InFlight{{Slot: 1, ID: 5, Start: at, Path: "/x"}}, at)
	down := stats.Worker{ID: 2, RespawnCount: 1}
	down.Fill(stats.Counters{}, nil, nil, at)
	return fixed{
		Ostler: "0.1.0", Build: "a\"b\n", Generation: 4, Ready: 1, State: "serving",
		Workers: []stats.Worker{busy, down, {}, {State: "cheap"}},
	}
}
