package stats

import (
	"math"
	"time"
)

// Counters is what a process, a slot or a worker has done so far. Each only grows.
type Counters struct {
	Requests    uint64
	Static      uint64 // of Requests, answered with a file by the server itself
	Exceptions  uint64 // handlers that panicked
	ReadErrors  uint64
	WriteErrors uint64
	Upgrades    uint64 // connections that became something else, a websocket say
	Rx          uint64 // bytes received
	Tx          uint64 // bytes sent, heads included
	Busy        uint64 // nanoseconds spent in requests

	Status  [6]uint64          // answers by class: 1 is 1xx, 5 is 5xx, 0 anything else
	Latency [NumBuckets]uint64 // requests by duration, see BucketBounds

	// What belongs to no slot.
	Rejects Rejects
	Waits   [NumBuckets]uint64 // requests that had to wait for a slot, by how long
	Waited  uint64             // nanoseconds they did
	Runtime
}

// Runtime is what a process has cost so far, in nanoseconds where nothing is said.
type Runtime struct {
	CPUUser   uint64
	CPUSystem uint64
	GCCycles  uint64 // a number
	GCPause   uint64
	GCCPU     uint64
}

// Add sums field by field.
func (r Runtime) Add(o Runtime) Runtime {
	return Runtime{r.CPUUser + o.CPUUser, r.CPUSystem + o.CPUSystem, r.GCCycles + o.GCCycles, r.GCPause + o.GCPause, r.GCCPU + o.GCCPU}
}

// Add sums field by field.
func (c Counters) Add(o Counters) Counters {
	c.Requests += o.Requests
	c.Static += o.Static
	c.Exceptions += o.Exceptions
	c.ReadErrors += o.ReadErrors
	c.WriteErrors += o.WriteErrors
	c.Upgrades += o.Upgrades
	c.Rx += o.Rx
	c.Tx += o.Tx
	c.Busy += o.Busy
	c.Waited += o.Waited
	c.Runtime = c.Runtime.Add(o.Runtime)
	grow(c.Status[:], o.Status[:])
	grow(c.Latency[:], o.Latency[:])
	grow(c.Rejects[:], o.Rejects[:])
	grow(c.Waits[:], o.Waits[:])
	return c
}

// AddCore adds what slots have done beyond what they have done for apps.
func (c Counters) AddCore(o CoreCounters) Counters {
	return c.Add(Counters{Static: o.Static, ReadErrors: o.ReadErrors, WriteErrors: o.WriteErrors, Rx: o.Rx, Tx: o.Tx})
}

// AddApp adds what was done for an app.
func (c Counters) AddApp(o AppCounters) Counters {
	return c.Add(Counters{
		Requests: o.Requests, Exceptions: o.Exceptions, Busy: o.Busy, Status: o.Status, Latency: o.Latency, Rejects: o.Rejects,
	})
}

// CoreCounters is what a request slot has done so far. Each only grows. The fields are those
// of Counters; there are few, because a server has many slots.
type CoreCounters struct {
	Requests    uint64
	Static      uint64
	Exceptions  uint64
	ReadErrors  uint64
	WriteErrors uint64
	Rx          uint64
	Tx          uint64
}

// Add sums field by field.
func (c CoreCounters) Add(o CoreCounters) CoreCounters {
	return CoreCounters{
		c.Requests + o.Requests, c.Static + o.Static, c.Exceptions + o.Exceptions,
		c.ReadErrors + o.ReadErrors, c.WriteErrors + o.WriteErrors, c.Rx + o.Rx, c.Tx + o.Tx,
	}
}

// grow adds by to sum, place by place.
func grow(sum, by []uint64) {
	for i, n := range by {
		sum[i] += n
	}
}

// StatusClass is the index of Counters.Status for a status code.
func StatusClass(code int) int {
	if class := code / 100; class >= 1 && class <= 5 {
		return class
	}
	return 0
}

// NumBuckets is the number of latency buckets. It is part of the scoreboard's layout:
// changing it or the bounds raises the layout version there.
const NumBuckets = 19

// bounds are the upper limits of all buckets but the last, inclusive as in Prometheus.
func bounds() [NumBuckets - 1]time.Duration {
	const us, ms = time.Microsecond, time.Millisecond
	return [...]time.Duration{
		100 * us, 250 * us, 500 * us,
		1 * ms, 2500 * us, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms,
		time.Second, 2500 * ms, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
}

// BucketBounds gives the inclusive upper bound of every bucket; the last stands for
// infinity and is the longest Duration there is.
func BucketBounds() []time.Duration {
	b := bounds()
	return append(b[:], math.MaxInt64)
}

// LatencyBucket is the index of Counters.Latency for a request that took d.
func LatencyBucket(d time.Duration) int {
	b := bounds()
	for i, bound := range b {
		if d <= bound {
			return i
		}
	}
	return len(b)
}

// InFlight is a request that is being handled. Path has no query string, and there are
// no headers: both carry secrets, and a stats address is often open to a whole network.
type InFlight struct {
	Slot   int // index of the slot in its worker, from 0
	ID     uint64
	Start  time.Time
	Method string
	Path   string
	Peer   string
}

// Ledger holds the sums of one worker over the processes it has had. It is a value:
// Plus leaves the receiver as it was, so a published Ledger can be read by anyone.
type Ledger struct {
	Total Counters
	Cores []CoreCounters
	Apps  map[App]AppCounters // see PlusApps
}

// Plus adds a process: with its final numbers once it is gone, or with its present ones
// to know where the worker stands now. total includes what the rows do not, such as
// rejections. Rows are matched by index; a process with fewer threads than an earlier
// one leaves the further rows as they are, because a number that was shown stays shown.
//
// Invariant: if each process's own numbers only grow, and a process moves from "present"
// to "final" only after it ended, then no number of the result ever goes backwards.
func (l Ledger) Plus(total Counters, rows []CoreCounters) Ledger {
	cores := make([]CoreCounters, max(len(l.Cores), len(rows)))
	copy(cores, l.Cores)
	for i, row := range rows {
		cores[i] = cores[i].Add(row)
	}
	return Ledger{Total: l.Total.Add(total), Cores: cores, Apps: l.Apps}
}
