package stats

import "encoding/json"

// Source is asked for the state of everything. Snapshot must not wait for anything: a
// scrape may come at any rate, from a client that means no good.
type Source interface {
	Snapshot() Snapshot
}

// Snapshot is the document a stats server sends. The fields up to Workers are uWSGI's,
// in uWSGI's order; uWSGI's daemons, caches, spoolers, crons, legions and metrics are
// left out, as uWSGI does when there are none.
type Snapshot struct {
	Version           string               `json:"version"`             // of the server; tools only print it
	ListenQueue       int                  `json:"listen_queue"`        // the longest of Sockets
	ListenQueueErrors int                  `json:"listen_queue_errors"` // connections TCP sockets turned away, see QueueOverflows; uWSGI has always 0
	SignalQueue       int                  `json:"signal_queue"`        // we have none: 0
	Load              int                  `json:"load"`                // ListenQueue again
	PID               int                  `json:"pid"`                 // of the master
	UID               int                  `json:"uid"`
	GID               int                  `json:"gid"`
	Cwd               string               `json:"cwd"`
	Locks             List[map[string]int] `json:"locks"` // name: pid of the holder; we have none: []
	Sockets           List[Socket]         `json:"sockets"`
	Workers           List[Worker]         `json:"workers"`

	// Ours.
	Ostler     string `json:"ostler"`     // version of ostler
	Build      string `json:"build"`      // of the program that is live
	Generation int    `json:"generation"` // that is live
	State      string `json:"state"`      // of the master
	Ready      int    `json:"ready"`      // workers that are ready

	// Imbalance is the requests of the busiest worker in percent of the mean of all that served
	// for the last ten seconds; 100 if they had too few to compare.
	Imbalance int `json:"imbalance"`

	StartedAt  int64   `json:"started_at"`  // epoch seconds, of the master
	ConfigFile string  `json:"config_file"` // "" without one
	Reloads    Reloads `json:"reloads"`

	// How many workers should be ready: now, and between which numbers `cheaper` lets that
	// follow the load. Without it the three are one.
	Wanted      int      `json:"wanted"`
	WantedLeast int      `json:"wanted_least"`
	WantedMost  int      `json:"wanted_most"`
	Scalings    Scalings `json:"scalings"`

	LastReload *LastReload `json:"last_reload,omitempty"` // not there before the first

	Crashes  List[Crash]   `json:"crashes"`  // the last MaxCrashes, newest first
	Overruns List[Overrun] `json:"overruns"` // the last MaxOverruns requests that took too long, newest first
}

// Reloads counts reloads by how they ended.
type Reloads struct {
	OK         uint64 `json:"ok"`
	Rejected   uint64 `json:"rejected"`    // no worker of the new program ever served
	RolledBack uint64 `json:"rolled_back"` // some did, and were taken back
}

// LastReload is how the last reload ended.
type LastReload struct {
	Generation int    `json:"generation"` // that was tried
	Build      string `json:"build"`      // likewise; empty if it was not known yet
	Step       string `json:"step"`       // how far it came
	OK         int    `json:"ok"`         // 1: it serves
	Reason     string `json:"reason"`     // why not, in the program's own words if it gave a reason
	Words      string `json:"words"`      // what it printed, if it gave none
	Began      int64  `json:"began"`      // epoch seconds
	TookMS     int64  `json:"took_ms"`
}

// Scalings counts how often the load changed the number of workers.
type Scalings struct {
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// Socket is a listening socket.
type Socket struct {
	Name       string `json:"name"`
	Proto      string `json:"proto"`
	Queue      int    `json:"queue"` // connections waiting in the kernel, see QueueLength
	MaxQueue   int    `json:"max_queue"`
	Shared     int    `json:"shared"`
	CanOffload int    `json:"can_offload"`
}

// Status is uWSGI's word for what a worker does.
type Status string

// The words tools know. uWSGI has "pause" and "sig<N>" too, which ostler never is in.
const (
	Cheap Status = "cheap" // no process: never spawned, or waiting to be respawned
	Busy  Status = "busy"  // at least one request in flight
	Idle  Status = "idle"
)

// Worker is one configured worker, with or without a process.
type Worker struct {
	ID            int            `json:"id"` // from 1; 0 before the first spawn
	PID           int            `json:"pid"`
	Accepting     int            `json:"accepting"` // 1 when the accept loops run
	Requests      uint64         `json:"requests"`
	DeltaRequests uint64         `json:"delta_requests"` // of the present process
	Exceptions    uint64         `json:"exceptions"`
	HarakiriCount uint64         `json:"harakiri_count"`
	Signals       uint64         `json:"signals"`      // uwsgi signals, which we have not: 0
	SignalQueue   int            `json:"signal_queue"` // likewise
	Status        Status         `json:"status"`
	RSS           uint64         `json:"rss"`          // bytes
	VSZ           uint64         `json:"vsz"`          // bytes
	RunningTime   uint64         `json:"running_time"` // microseconds in requests
	LastSpawn     int64          `json:"last_spawn"`   // epoch seconds
	RespawnCount  uint64         `json:"respawn_count"`
	Tx            uint64         `json:"tx"`     // bytes
	AvgRT         uint64         `json:"avg_rt"` // microseconds
	Apps          List[AppStats] `json:"apps"`
	Cores         List[Core]     `json:"cores"`

	// Ours.
	Generation  int           `json:"generation"`
	State       string        `json:"state"`     // of the process
	Rx          uint64        `json:"rx"`        // bytes
	Rejected    uint64        `json:"rejected"`  // the sum of Rejects
	Unmounted   uint64        `json:"unmounted"` // requests that no app is there for, answered 404
	Upgraded    uint64        `json:"upgraded"`  // connections open now that are no requests any more, websockets say
	Upgrades    uint64        `json:"upgrades"`  // that there have been
	StatusCodes StatusCodes   `json:"status_codes"`
	Latency     Latency       `json:"latency"`
	InFlight    List[Request] `json:"in_flight"`
	LastExit    string        `json:"last_exit"` // how the process before this one ended

	LastExitReason string       `json:"last_exit_reason"` // the same as one of the keys of Restarts; "" before the first
	Restarts       Restarts     `json:"restarts"`         // ends of the worker's processes
	Rejects        RejectStats  `json:"rejects"`
	Queued         int          `json:"queued"`     // requests that wait for a slot now, inside the process
	QueueWait      Latency      `json:"queue_wait"` // of those that had to, whether they got one or not
	Process        ProcessStats `json:"process"`

	// HeartbeatAgeMS is how long ago the process last gave a sign of life, which it does
	// every second; since its spawn if it gave none. 0 without a process.
	HeartbeatAgeMS int64 `json:"heartbeat_age_ms"`
}

// AppStats is an application in a worker.
type AppStats struct {
	ID          int    `json:"id"`
	Modifier1   int    `json:"modifier1"`
	Mountpoint  string `json:"mountpoint"`
	StartupTime int64  `json:"startup_time"` // seconds it took to build
	Requests    uint64 `json:"requests"`
	Exceptions  uint64 `json:"exceptions"`
	Chdir       string `json:"chdir"`

	// Ours.
	Module      string      `json:"module"`       // name of the app
	Mounted     int         `json:"mounted"`      // 0: only earlier processes had it
	RunningTime uint64      `json:"running_time"` // microseconds in requests
	StatusCodes StatusCodes `json:"status_codes"`
	Latency     Latency     `json:"latency"`
	Rejected    uint64      `json:"rejected"` // the sum of Rejects
	Rejects     RejectStats `json:"rejects"`  // of requests for its place; those nobody could read are the worker's alone
}

// ProcessStats is what a worker's process costs. What only grows counts all the processes
// the worker has had; the rest is of the present one, and 0 without one.
type ProcessStats struct {
	CPUUser    uint64 `json:"cpu_user"`   // microseconds
	CPUSystem  uint64 `json:"cpu_system"` // microseconds
	OpenFDs    int    `json:"open_fds"`
	MaxFDs     uint64 `json:"max_fds"`
	Threads    int    `json:"threads"` // of the operating system
	Goroutines uint64 `json:"goroutines"`
	Heap       uint64 `json:"heap"` // bytes of live objects and of those not swept yet
	GCCycles   uint64 `json:"gc_cycles"`
	GCPause    uint64 `json:"gc_pause"` // microseconds the world stood still
	GCCPU      uint64 `json:"gc_cpu"`   // microseconds
}

// Core is uWSGI's name for what we call a slot. Vars stays empty for ever: uWSGI puts the
// variables of the running request there, cookies and authorization included.
type Core struct {
	ID                int          `json:"id"`
	Requests          uint64       `json:"requests"`
	StaticRequests    uint64       `json:"static_requests"`
	RoutedRequests    uint64       `json:"routed_requests"`
	OffloadedRequests uint64       `json:"offloaded_requests"`
	WriteErrors       uint64       `json:"write_errors"`
	ReadErrors        uint64       `json:"read_errors"`
	InRequest         int          `json:"in_request"`
	Vars              List[string] `json:"vars"`
	ReqInfo           ReqInfo      `json:"req_info"`
}

// ReqInfo is {} while the core is idle.
type ReqInfo struct {
	RequestStart int64 `json:"request_start,omitempty"` // epoch seconds
}

// Request is an InFlight as it is shown.
type Request struct {
	Slot   int    `json:"slot"`
	ID     uint64 `json:"id"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Peer   string `json:"peer"`
	AgeMS  int64  `json:"age_ms"`
}

// StatusCodes counts answers by class.
type StatusCodes struct {
	Informational uint64 `json:"1xx"`
	Successful    uint64 `json:"2xx"`
	Redirection   uint64 `json:"3xx"`
	ClientError   uint64 `json:"4xx"`
	ServerError   uint64 `json:"5xx"`
	Other         uint64 `json:"other"` // no status was ever written
}

// Latency is the distribution of request durations; all times are microseconds.
type Latency struct {
	P50     uint64       `json:"p50"`
	P90     uint64       `json:"p90"`
	P99     uint64       `json:"p99"`
	Count   uint64       `json:"count"`   // the sum of Buckets
	Sum     uint64       `json:"sum"`     // of all durations
	Bounds  List[uint64] `json:"bounds"`  // inclusive upper bounds of all buckets but the last
	Buckets List[uint64] `json:"buckets"` // one more than Bounds
}

// List is a slice that is [] in JSON when it is nil: every consumer of uWSGI's document
// ranges over these, and some of them fail on null.
type List[T any] []T

// MarshalJSON never gives null.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}
