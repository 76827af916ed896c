package endpoint

import (
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/stats"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs/stats.md")

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
	c := stats.Counters{Requests: 21, Exceptions: 1, Upgrades: 9, Rx: 300, Tx: 400, Busy: 1_500_000_000, Waited: 250_000_000}
	c.Status = [6]uint64{1, 2, 3, 4, 5, 6}
	c.Latency[0], c.Latency[2], c.Latency[stats.NumBuckets-1] = 10, 5, 6
	c.Waits[1] = 4
	c.Rejects[stats.RejectQueueTimeout-1], c.Rejects[stats.RejectTooLarge-1] = 2, 3
	c.Runtime = stats.Runtime{CPUUser: 2e9, CPUSystem: 1e9, GCCycles: 17, GCPause: 3e6, GCCPU: 4e7}
	var exits stats.Exits
	exits[stats.ExitReload-1], exits[stats.ExitSignal-1] = 2, 1

	busy := stats.Worker{ID: 1, PID: 4711, RSS: 1 << 20, VSZ: 1 << 30, RespawnCount: 3, Accepting: 1, Upgraded: 7, Queued: 5,
		Generation: 4, HeartbeatAgeMS: 250, LastSpawn: 1600000000, DeltaRequests: 11, HarakiriCount: 0, Restarts: exits.Restarts()}
	busy.Process = stats.ProcessStats{OpenFDs: 12, MaxFDs: 1024, Threads: 9, Goroutines: 33, Heap: 5 << 20}
	busy.Fill(c, []stats.CoreCounters{{Requests: 21}, {}}, []stats.InFlight{{Slot: 1, ID: 5, Start: at, Path: "/x"}}, at)
	shop, blog := stats.App{Name: "shop", Mountpoint: "/shop"}, stats.App{Name: "blog"}
	again := stats.App{Name: "shop", Mountpoint: "/store"}
	n := stats.AppCounters{Requests: 7, Exceptions: 1, Busy: 500_000_000}
	n.Status[2], n.Status[5] = 6, 1
	n.Latency[3] = 7
	busy.FillApps(stats.Ledger{}.PlusApps([]stats.App{shop, blog, again}, []stats.AppCounters{n, {}, n, {Requests: 2}}),
		[]stats.App{shop, blog, again}, []stats.AppStats{{Module: "shop", Mountpoint: "/shop", Chdir: "/srv/\xff", StartupTime: 2}})

	down := stats.Worker{ID: 2, RespawnCount: 1}
	down.Fill(stats.Counters{}, nil, nil, at)
	down.FillApps(stats.Ledger{}.PlusApps([]stats.App{shop}, []stats.AppCounters{n}), []stats.App{shop}, nil)
	return fixed{
		Ostler: "0.1.0", Build: "a\"b\n", Generation: 4, Ready: 1, State: "serving", Imbalance: 125, StartedAt: 1500000000,
		ListenQueue: 3, ListenQueueErrors: 8,
		Wanted: 3, WantedLeast: 2, WantedMost: 6, Scalings: stats.Scalings{Up: 5, Down: 4},
		Reloads:    stats.Reloads{OK: 3, Rejected: 2, RolledBack: 1},
		LastReload: &stats.LastReload{OK: 0, Began: 1650000000, TookMS: 1500},
		Sockets: stats.List[stats.Socket]{
			{Name: "127.0.0.1:80", Proto: "http", Queue: 3, MaxQueue: 1024, Shared: 1},
			{Name: "@ostler", Proto: "uwsgi", Queue: 0, MaxQueue: 512},
			{Name: "127.0.0.1:80", Proto: "http", Queue: 9, MaxQueue: 9}, // twice, as in uwsgi_exporter's bug 22
		},
		Workers: stats.List[stats.Worker]{busy, down, {}, {State: "cheap"}},
	}
}
