package stats

import "time"

// MaxCrashes is how many crashes a Snapshot remembers.
const MaxCrashes = 10

// Crash is how a worker process died that nobody had asked to go.
type Crash struct {
	Worker     int           `json:"worker"`
	PID        int           `json:"pid"`
	Generation int           `json:"generation"`
	Build      string        `json:"build"`
	Died       int64         `json:"died"`      // epoch seconds
	UptimeMS   int64         `json:"uptime_ms"` // since its launch
	Ready      int           `json:"ready"`     // 1: it had served
	Reason     string        `json:"reason"`    // a key of Restarts
	Exit       string        `json:"exit"`      // status or signal, as a sentence
	Words      string        `json:"words"`     // what the runtime, or before it was ready the program, printed
	Requests   uint64        `json:"requests"`  // that it had answered
	InFlight   List[Request] `json:"in_flight"` // that died with it
	MaxRSS     uint64        `json:"max_rss"`   // bytes, the most it ever had
	Heap       uint64        `json:"heap"`      // bytes, at its last heartbeat
	Goroutines uint64        `json:"goroutines"`
	File       string        `json:"file"` // its report in crash-dir, "" without one
}

// RequestsOf shows what was running at now.
func RequestsOf(inflight []InFlight, now time.Time) List[Request] { return requests(inflight, now) }
