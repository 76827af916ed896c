package stats

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The JSON types of uWSGI's schema.
type jsonType string

const (
	integer jsonType = "integer" // digits only: a consumer in Go, C or Rust refuses 1.0, 1e3 and -1
	bit     jsonType = "0 or 1"
	text    jsonType = "string"
	list    jsonType = "array"
	object  jsonType = "object"
)

// uWSGI 2.0.30, core/master_utils.c, without what it omits when there is none.
func uwsgiSchema() map[string]map[string]jsonType {
	return map[string]map[string]jsonType{
		"top": {
			"version": text, "listen_queue": integer, "listen_queue_errors": integer, "signal_queue": integer, "load": integer,
			"pid": integer, "uid": integer, "gid": integer, "cwd": text, "locks": list, "sockets": list, "workers": list,
		},
		"socket": {
			"name": text, "proto": text, "queue": integer, "max_queue": integer, "shared": bit, "can_offload": bit,
		},
		"worker": {
			"id": integer, "pid": integer, "accepting": bit, "requests": integer, "delta_requests": integer,
			"exceptions": integer, "harakiri_count": integer, "signals": integer, "signal_queue": integer, "status": text,
			"rss": integer, "vsz": integer, "running_time": integer, "last_spawn": integer, "respawn_count": integer,
			"tx": integer, "avg_rt": integer, "apps": list, "cores": list,
		},
		"app": {
			"id": integer, "modifier1": integer, "mountpoint": text, "startup_time": integer, "requests": integer,
			"exceptions": integer, "chdir": text,
		},
		"core": {
			"id": integer, "requests": integer, "static_requests": integer, "routed_requests": integer,
			"offloaded_requests": integer, "write_errors": integer, "read_errors": integer, "in_request": bit,
			"vars": list, "req_info": object,
		},
	}
}

// ourKeys are what ostler adds. A change here is a change of what users read.
func ourKeys() map[string][]string {
	return map[string][]string{
		"top": {"build", "config_file", "crashes", "generation", "imbalance", "last_reload", "ostler", "overruns", "ready", "reloads", "scalings", "started_at", "state",
			"wanted", "wanted_least", "wanted_most"},
		"app": {"latency", "module", "mounted", "rejected", "rejects", "running_time", "status_codes"},
		"worker": {
			"generation", "heartbeat_age_ms", "in_flight", "last_exit", "last_exit_reason", "latency", "process", "queue_wait", "queued",
			"rejected", "rejects", "restarts", "rx", "state", "status_codes", "unmounted", "upgraded", "upgrades",
		},
	}
}

// start is some moment on a wall clock.
func start() time.Time { return time.Unix(1700000000, 0) }

// full has no field at its zero value.
func full() Snapshot {
	w := Worker{
		ID: 1, PID: 4711, Accepting: 1, DeltaRequests: 3, HarakiriCount: 1, Signals: 2, SignalQueue: 3, RSS: 1 << 20, VSZ: 1 << 30,
		LastSpawn: start().Unix(), RespawnCount: 2, Generation: 4, State: "ready", LastExit: "signal: killed", Upgraded: 7,
		HeartbeatAgeMS: 300, LastExitReason: ExitSignal.String(), Restarts: Exits{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}.Restarts(), Queued: 2,
		Process: ProcessStats{OpenFDs: 1, MaxFDs: 2, Threads: 3, Goroutines: 4, Heap: 5},
	}
	c := Counters{Requests: 10, Exceptions: 1, ReadErrors: 2, WriteErrors: 3, Upgrades: 8, Rx: 5, Tx: 6, Busy: 7_000_000}
	c.Status = [6]uint64{1, 2, 3, 4, 5, 6}
	c.Latency[3], c.Waits[9], c.Waited = 10, 11, 12_000_000
	c.Rejects = Rejects{1, 2, 3, 4, 5, 6, 7, 8, 9}
	c.Runtime = Runtime{CPUUser: 21_000, CPUSystem: 22_000, GCCycles: 23, GCPause: 24_000, GCCPU: 25_000}
	running := InFlight{Slot: 1, ID: 99, Start: start(), Method: "GET", Path: "/a", Peer: "10.0.0.1:5"}
	core := CoreCounters{Requests: 10, ReadErrors: 2, WriteErrors: 3}
	w.Fill(c, []CoreCounters{core, core}, []InFlight{running}, start().Add(1500*time.Millisecond))
	shop := App{Name: "shop", Mountpoint: "/shop"}
	done := AppCounters{Requests: 10, Exceptions: 1, Busy: 7_000_000, Status: c.Status, Latency: c.Latency, Rejects: c.Rejects}
	known := []App{{Name: "other"}, shop} // so that its id is not zero
	w.FillApps(Ledger{}.PlusApps([]App{shop, {}}, []AppCounters{done, {Requests: 5}}), known, []AppStats{{
		Modifier1: 30, Mountpoint: shop.Mountpoint, StartupTime: 2, Chdir: "/srv", Module: shop.Name,
	}})
	return Snapshot{
		Version: "1", ListenQueue: 2, ListenQueueErrors: 1, SignalQueue: 1, Load: 2, PID: 1, UID: 1, GID: 1, Cwd: "/",
		Locks:   []map[string]int{{"user 0": 0}},
		Sockets: []Socket{{Name: "@a", Proto: "uwsgi", Queue: 1, MaxQueue: 128, Shared: 1, CanOffload: 1}},
		Workers: []Worker{w},
		Ostler:  "0.1.0", Build: "abc", Generation: 4, State: "serving", Ready: 1, Imbalance: 125,
		StartedAt: start().Unix(), ConfigFile: "/srv/app.toml", Reloads: Reloads{OK: 1, Rejected: 2, RolledBack: 3},
		Wanted: 2, WantedLeast: 1, WantedMost: 4, Scalings: Scalings{Up: 2, Down: 1},
		LastReload: &LastReload{Generation: 4, Build: "abc", Step: "live", OK: 1, Reason: "none", Words: "panic: none", Began: start().Unix(), TookMS: 40},
		Crashes: []Crash{{
			Worker: 1, PID: 4710, Generation: 4, Build: "abc", Died: start().Unix(), UptimeMS: 5000, Ready: 1, Reason: "signal",
			Exit: "was killed by signal 9 (killed)", Words: "fatal error: out of memory", Requests: 7,
			InFlight: RequestsOf([]InFlight{running}, start().Add(time.Second)), MaxRSS: 1 << 30, Heap: 1 << 29, Goroutines: 12, File: "/var/crash/a",
		}},
		Overruns: []Overrun{{
			Worker: 1, PID: 4710, Generation: 4, ID: 7, Method: "GET", Path: "/x", Peer: "127.0.0.1:9", Start: start().Unix(),
			Percent: 100, LimitMS: 2000, Looks: []Look{{Percent: 100, AgeMS: 2000, Stack: "main.slow"}},
		}},
	}
}

// bare has every object and nothing in it.
func bare() Snapshot {
	return Snapshot{
		Sockets: []Socket{{}},
		Workers: []Worker{{Apps: []AppStats{{}}, Cores: []Core{{}}}},

		LastReload: &LastReload{},
	}
}

func TestTheDocumentIsUWSGIs(t *testing.T) {
	for name, s := range map[string]Snapshot{"full": full(), "bare": bare()} {
		t.Run(name, func(t *testing.T) {
			top := generic(t, s)
			worker := first(top, "workers")
			objects := map[string]map[string]any{
				"top": top, "socket": first(top, "sockets"), "worker": worker,
				"app": first(worker, "apps"), "core": first(worker, "cores"),
			}
			for kind, fields := range uwsgiSchema() {
				checkObject(t, kind, objects[kind], fields, ourKeys()[kind])
			}
		})
	}
}

// Consumers in C, Go and Rust refuse a whole document for one 1.0, 1e3, -1, true or null,
// wherever it is.
func TestEveryNumberIsAWholeOne(t *testing.T) {
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				walk(path+"."+name, value)
			}
		case []any:
			for _, value := range v {
				walk(path+"[]", value)
			}
		default:
			if !is(v, integer) && !is(v, text) {
				t.Errorf("%s is %#v", path, v)
			}
		}
	}
	for _, s := range []Snapshot{full(), bare(), {}} {
		walk("", generic(t, s))
	}
}

func generic(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func first(m map[string]any, key string) map[string]any {
	return m[key].([]any)[0].(map[string]any)
}

func checkObject(t *testing.T, kind string, got map[string]any, fields map[string]jsonType, ours []string) {
	t.Helper()
	for name, want := range fields {
		value, ok := got[name]
		if !ok {
			t.Errorf("%s has no %q", kind, name)
		} else if !is(value, want) {
			t.Errorf("%s: %q is %#v, want %s", kind, name, value, want)
		}
		delete(got, name)
	}
	if added := slices.Sorted(maps.Keys(got)); !slices.Equal(added, ours) {
		t.Errorf("%s adds %q, want %q", kind, added, ours)
	}
}

func is(value any, want jsonType) bool {
	switch v := value.(type) {
	case json.Number:
		return want == integer && strings.Trim(v.String(), "0123456789") == "" || want == bit && (v == "0" || v == "1")
	case string:
		return want == text
	case []any:
		return want == list
	case map[string]any:
		return want == object
	}
	return false
}

func TestTheFieldsOfFullAreAllSet(t *testing.T) {
	// The schema test is worth as much as this: a field left at zero could be mistyped.
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch {
		case v.Kind() == reflect.Pointer && !v.IsNil():
			walk(path, v.Elem())
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Len() > 0:
			walk(path, v.Index(v.Len()-1))
		case v.IsZero():
			t.Errorf("%s is zero", path)
		}
	}
	s := full()
	c := &s.Workers[0].Cores[1]
	c.ID, c.StaticRequests, c.RoutedRequests, c.OffloadedRequests, c.Vars = 1, 1, 1, 1, []string{} // never ours
	walk("Snapshot", reflect.ValueOf(s))
}

func TestNoListIsEverNull(t *testing.T) {
	for name, v := range map[string]any{"snapshot": Snapshot{}, "worker": Worker{}, "core": Core{}} {
		b, err := json.Marshal(v)
		if err != nil || bytes.Contains(b, []byte("null")) {
			t.Errorf("an empty %s is %s, %v", name, b, err)
		}
	}
}

func TestAnIdleCoreHasNoRequestStart(t *testing.T) {
	cores := generic(t, full().Workers[0])["cores"].([]any)
	idle, busy := cores[0].(map[string]any), cores[1].(map[string]any)
	if got := idle["req_info"].(map[string]any); len(got) != 0 || idle["in_request"] != json.Number("0") {
		t.Errorf("an idle core has req_info %v and in_request %v", got, idle["in_request"])
	}
	want := map[string]any{"request_start": json.Number("1700000000")}
	if got := busy["req_info"]; !reflect.DeepEqual(got, want) || busy["in_request"] != json.Number("1") {
		t.Errorf("a busy core has req_info %v and in_request %v", got, busy["in_request"])
	}
	for _, c := range cores {
		if vars := c.(map[string]any)["vars"].([]any); len(vars) != 0 {
			t.Errorf("request variables are shown: %v", vars)
		}
	}
}

func TestTheLastReloadsKeys(t *testing.T) {
	want := map[string]any{
		"generation": json.Number("4"), "build": "abc", "step": "live", "ok": json.Number("1"), "reason": "none", "words": "panic: none",
		"began": json.Number("1700000000"), "took_ms": json.Number("40"),
	}
	if got := generic(t, full())["last_reload"]; !reflect.DeepEqual(got, want) {
		t.Errorf("last_reload = %v, want %v", got, want)
	}
	if got, there := generic(t, Snapshot{})["last_reload"]; there {
		t.Errorf("before the first reload last_reload is %v", got)
	}
}

func TestTheInFlightKeys(t *testing.T) {
	got := first(generic(t, full().Workers[0]), "in_flight")
	want := map[string]any{
		"slot": json.Number("1"), "id": json.Number("99"), "method": "GET", "path": "/a", "peer": "10.0.0.1:5",
		"age_ms": json.Number("1500"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("in_flight[0] = %v, want %v", got, want)
	}
}

func TestHostileTextStaysJSON(t *testing.T) {
	// uWSGI escapes five characters and breaks on the rest.
	s := full()
	s.Cwd = "/\x00\x1b[31m\u2028"
	s.Workers[0].InFlight[0].Path = "/\xff\xfe\"\\\n\x7f"
	b, err := json.Marshal(s)
	if err != nil || !json.Valid(b) {
		t.Fatalf("%v: %s", err, b)
	}
	var back Snapshot
	if err := json.Unmarshal(b, &back); err != nil || back.Cwd != s.Cwd {
		t.Errorf("Cwd came back as %q, %v", back.Cwd, err)
	}
}
