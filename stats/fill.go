package stats

import "time"

// Fill derives all that follows from a worker's lifetime counters, one row per core, and
// the requests it is handling. PID must be set before. What only the master knows is
// left to it: ID, Accepting, DeltaRequests, memory, spawns, exits, state, Upgraded, Queued, and
// what of Process is the present one's. So is AvgRT, if it was
// set to the process's moving average; otherwise it becomes the lifetime mean. The
// apps are FillApps's.
func (w *Worker) Fill(c Counters, cores []CoreCounters, inflight []InFlight, now time.Time) {
	w.Requests, w.Exceptions = c.Requests, c.Exceptions
	w.Rejected, w.Rejects = c.Rejects.Total(), c.Rejects.row()
	w.Tx, w.Rx, w.Upgrades = c.Tx, c.Rx, c.Upgrades
	w.RunningTime = microseconds(c.Busy)
	if w.AvgRT == 0 && c.Requests > 0 {
		w.AvgRT = w.RunningTime / c.Requests
	}
	w.StatusCodes = statusCodes(c.Status)
	w.Latency = latency(c.Latency, c.Busy)
	w.QueueWait = latency(c.Waits, c.Waited)
	w.Process.fill(c.Runtime)
	w.Cores = coreList(cores, inflight)
	w.InFlight = requests(inflight, now)
	w.Status = status(w.PID, len(inflight))
}

// fill leaves alone what is of the present process only.
func (p *ProcessStats) fill(r Runtime) {
	p.CPUUser, p.CPUSystem = microseconds(r.CPUUser), microseconds(r.CPUSystem)
	p.GCCycles, p.GCPause, p.GCCPU = r.GCCycles, microseconds(r.GCPause), microseconds(r.GCCPU)
}

func microseconds(ns uint64) uint64 { return ns / uint64(time.Microsecond) }

func status(pid, inflight int) Status {
	switch {
	case pid == 0:
		return Cheap
	case inflight > 0:
		return Busy
	}
	return Idle
}

func coreList(rows []CoreCounters, inflight []InFlight) []Core {
	cores := make([]Core, len(rows))
	for i, row := range rows {
		cores[i] = Core{ID: i, Requests: row.Requests, StaticRequests: row.Static, WriteErrors: row.WriteErrors, ReadErrors: row.ReadErrors}
	}
	for _, r := range inflight {
		if r.Slot >= 0 && r.Slot < len(cores) {
			cores[r.Slot].InRequest = 1
			cores[r.Slot].ReqInfo.RequestStart = r.Start.Unix()
		}
	}
	return cores
}

func requests(inflight []InFlight, now time.Time) []Request {
	list := make([]Request, len(inflight))
	for i, r := range inflight {
		// The clocks are two processes' readings; an age is never negative all the same.
		age := max(0, now.Sub(r.Start))
		list[i] = Request{Slot: r.Slot, ID: r.ID, Method: r.Method, Path: r.Path, Peer: r.Peer, AgeMS: age.Milliseconds()}
	}
	return list
}

func statusCodes(n [6]uint64) StatusCodes {
	return StatusCodes{Informational: n[1], Successful: n[2], Redirection: n[3], ClientError: n[4], ServerError: n[5], Other: n[0]}
}

func latency(n [NumBuckets]uint64, sum uint64) Latency {
	upper := bounds()
	l := Latency{
		P50: quantile(n, 50), P90: quantile(n, 90), P99: quantile(n, 99), Sum: microseconds(sum),
		Bounds: make([]uint64, len(upper)), Buckets: n[:],
	}
	for _, k := range n {
		l.Count += k
	}
	for i, b := range upper {
		l.Bounds[i] = uint64(b.Microseconds())
	}
	return l
}

// quantile estimates the duration, in microseconds, that percent of all requests did not
// exceed, taking the requests of a bucket as evenly spread over it. The last bucket has
// no end; its requests count as taking its lower bound.
func quantile(n [NumBuckets]uint64, percent uint64) uint64 {
	var total float64
	for _, k := range n {
		total += float64(k)
	}
	if total == 0 {
		return 0
	}
	rank := total * float64(percent) / 100
	var below, lower float64
	for i, b := range bounds() {
		upper, k := float64(b.Microseconds()), float64(n[i])
		if k > 0 && below+k >= rank {
			return uint64(lower + (upper-lower)*(rank-below)/k)
		}
		below, lower = below+k, upper
	}
	return uint64(lower)
}
