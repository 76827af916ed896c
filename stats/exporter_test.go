package stats

import (
	"encoding/json"
	"reflect"
	"testing"
)

// The structs as uwsgi_exporter declares them: plain int everywhere, so one number of
// another form fails the whole scrape.
type exporterStats struct {
	Version           string           `json:"version"`
	ListenQueue       int              `json:"listen_queue"`
	ListenQueueErrors int              `json:"listen_queue_errors"`
	SignalQueue       int              `json:"signal_queue"`
	Load              int              `json:"load"`
	PID               int              `json:"pid"`
	UID               int              `json:"uid"`
	GID               int              `json:"gid"`
	CWD               string           `json:"cwd"`
	Locks             []map[string]int `json:"locks"`
	Sockets           []exporterSocket `json:"sockets"`
	Workers           []exporterWorker `json:"workers"`
}

type exporterSocket struct {
	Name       string `json:"name"`
	Proto      string `json:"proto"`
	Queue      int    `json:"queue"`
	MaxQueue   int    `json:"max_queue"`
	Shared     int    `json:"shared"`
	CanOffload int    `json:"can_offload"`
}

type exporterWorker struct {
	ID            int            `json:"id"`
	PID           int            `json:"pid"`
	Accepting     int            `json:"accepting"`
	Requests      int            `json:"requests"`
	DeltaRequests int            `json:"delta_requests"`
	Exceptions    int            `json:"exceptions"`
	HarakiriCount int            `json:"harakiri_count"`
	Signals       int            `json:"signals"`
	SignalQueue   int            `json:"signal_queue"`
	Status        string         `json:"status"`
	RSS           int            `json:"rss"`
	VSZ           int            `json:"vsz"`
	RunningTime   int            `json:"running_time"`
	LastSpawn     int            `json:"last_spawn"`
	RespawnCount  int            `json:"respawn_count"`
	TX            int            `json:"tx"`
	AvgRt         int            `json:"avg_rt"`
	Apps          []exporterApp  `json:"apps"`
	Cores         []exporterCore `json:"cores"`
}

type exporterApp struct {
	ID          int    `json:"id"`
	Modifier1   int    `json:"modifier1"`
	Mountpoint  string `json:"mountpoint"`
	StartupTime int    `json:"startup_time"`
	Requests    int    `json:"requests"`
	Exceptions  int    `json:"exceptions"`
	Chdir       string `json:"chdir"`
}

type exporterCore struct {
	ID                int      `json:"id"`
	Requests          int      `json:"requests"`
	StaticRequests    int      `json:"static_requests"`
	RoutedRequests    int      `json:"routed_requests"`
	OffloadedRequests int      `json:"offloaded_requests"`
	WriteErrors       int      `json:"write_errors"`
	ReadErrors        int      `json:"read_errors"`
	InRequest         int      `json:"in_request"`
	Vars              []string `json:"vars"`
	ReqInfo           struct {
		RequestStart int `json:"request_start"`
	} `json:"req_info"`
}

func TestUWSGIExporterReadsTheNumbersItExpects(t *testing.T) {
	b, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var got exporterStats
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("the whole scrape fails: %v", err)
	}
	idle := exporterCore{ID: 0, Requests: 10, WriteErrors: 3, ReadErrors: 2, Vars: []string{}}
	busy := idle
	busy.ID, busy.InRequest, busy.ReqInfo.RequestStart = 1, 1, 1700000000
	want := exporterStats{
		Version: "1", ListenQueue: 2, ListenQueueErrors: 1, SignalQueue: 1, Load: 2, PID: 1, UID: 1, GID: 1, CWD: "/",
		Locks:   []map[string]int{{"user 0": 0}},
		Sockets: []exporterSocket{{Name: "@a", Proto: "uwsgi", Queue: 1, MaxQueue: 128, Shared: 1, CanOffload: 1}},
		Workers: []exporterWorker{{
			ID: 1, PID: 4711, Accepting: 1, Requests: 10, DeltaRequests: 3, Exceptions: 1, HarakiriCount: 1, Signals: 2,
			SignalQueue: 3, Status: "busy", RSS: 1 << 20, VSZ: 1 << 30, RunningTime: 7000, LastSpawn: 1700000000,
			RespawnCount: 2, TX: 6, AvgRt: 700,
			Apps: []exporterApp{{
				ID: 1, Modifier1: 30, Mountpoint: "/shop", StartupTime: 2, Requests: 10, Exceptions: 1, Chdir: "/srv",
			}},
			Cores: []exporterCore{idle, busy},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwant\n%+v", got, want)
	}
}
