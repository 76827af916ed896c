//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
	"golang.org/x/sys/unix"
)

func TestWorkloadsHaveTheirSize(t *testing.T) {
	for _, w := range workloads() {
		if got := len(w.content()); got != w.size {
			t.Errorf("%s has %d bytes, want %d", w.name, got, w.size)
		}
		if !bytes.Equal(w.content(), w.content()) {
			t.Errorf("%s is not the same twice", w.name)
		}
	}
	if w := workloads()[1]; !json.Valid(w.content()) {
		t.Errorf("%s is not JSON: %s", w.name, w.content())
	}
}

func TestAWrongAnswerIsNoAnswer(t *testing.T) {
	for name, resp := range map[string]*http.Response{
		"status": {StatusCode: 500, Body: io.NopCloser(strings.NewReader("Hello, world\n"))},
		"bytes":  {StatusCode: 200, Body: io.NopCloser(strings.NewReader("Hello, WORLD\n"))},
		"length": {StatusCode: 200, Body: io.NopCloser(strings.NewReader("Hello"))},
	} {
		if err := hello().compare("GET /hello", resp); err == nil {
			t.Errorf("an answer with a wrong %s passes", name)
		}
	}
	right := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("Hello, world\n"))}
	if err := hello().compare("GET /hello", right); err != nil {
		t.Error(err)
	}
}

const wrkPrinted = `Running 2s test @ http://127.0.0.1:8000/hello
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.10ms  701.41us  12.32ms   90.10%
  51234 requests in 2.10s, 7.5MB read
Requests/sec:  24397.14
{"requests":51234,"micros":2100000,"bytes":7878787,"p50":1050,"p99":3105,"connect":0,"read":0,"write":0,"timeout":0,"status":0}
`

func TestWrkSummaryIsRead(t *testing.T) {
	got, err := parseWrk([]byte(wrkPrinted))
	if err != nil {
		t.Fatal(err)
	}
	if want := (load{Requests: 51234, Micros: 2100000, Bytes: 7878787, P50: 1050, P99: 3105}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := got.perSecond(); got < 24397 || got > 24398 {
		t.Errorf("%f requests/s, want 24397", got)
	}
	for _, broken := range []string{"", "Running 2s test", `{"requests":`} {
		if _, err := parseWrk([]byte(broken)); err == nil {
			t.Errorf("%q was accepted", broken)
		}
	}
}

func TestEveryKindOfErrorFailsALoad(t *testing.T) {
	good := load{Requests: 10, Bytes: 1000}
	if err := good.failures(100); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*load){
		"connect": func(l *load) { l.Connect = 1 }, "read": func(l *load) { l.Read = 1 }, "write": func(l *load) { l.Write = 1 },
		"timeout": func(l *load) { l.Timeout = 1 }, "status": func(l *load) { l.Status = 1 },
		"no answer": func(l *load) { l.Requests = 0 }, "short bodies": func(l *load) { l.Bytes = 999 },
	} {
		bad := good
		if spoil(&bad); bad.failures(100) == nil {
			t.Errorf("%s passes: %+v", name, bad)
		}
	}
}

func TestStatIsReadPastAnyName(t *testing.T) {
	for _, line := range []string{"12 (sh) S 7 12 12", "12 (a) b) S 7 12 12", "12 (a (b) S 7 12 12", "12 ()) R 99 0) S 7 12 12"} {
		if pid, parent, err := parseStat(line); pid != 12 || parent != 7 || err != nil {
			t.Errorf("%q: pid %d, parent %d, %v; want 12 and 7", line, pid, parent, err)
		}
	}
	for _, line := range []string{"", "12 sh S 7", "12 (sh)", "12 (sh) S", "x (sh) S 7 1", "12 (sh) S x 1"} {
		if _, _, err := parseStat(line); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func TestATreeHasAllDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", `sh -c 'sleep 600 & echo $!; wait' & wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	pids, err := tree(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(pids) != 3 || !slices.Contains(pids, cmd.Process.Pid) || !slices.Contains(pids, grandchild) {
		t.Errorf("tree of %d is %v, want it, its child and its grandchild %d", cmd.Process.Pid, pids, grandchild)
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	_ = cmd.Wait()
	if _, err := used([]int{cmd.Process.Pid}); err == nil {
		t.Error("the usage of a process that is gone was read")
	}
}

// Threads that end would take their time with them if it were read thread by thread.
func TestTheTimeOfEndedThreadsCounts(t *testing.T) {
	const burn = 20 * time.Millisecond
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	tid := make(chan int)
	var work func()
	work = func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// But the first thread never does: keep it busy while another works.
			defer runtime.UnlockOSThread()
			done := make(chan struct{})
			go func() { defer close(done); work() }()
			<-done
			return
		}
		for start := threadTime(t); threadTime(t)-start < burn; {
		}
		tid <- unix.Gettid()
	}
	go work()
	task := "/proc/self/task/" + strconv.Itoa(<-tid)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		if _, err := os.Stat(task); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the thread does not end")
		}
	}
	after, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after-before < burn {
		t.Errorf("a thread burnt %v, the process's clock moved by %v", burn, after-before)
	}
}

// threadTime is the CPU time of the calling thread, which has run other goroutines before.
func threadTime(t *testing.T) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Error(err)
	}
	return time.Duration(now.Nano())
}

func TestThisProcessHasSwitchesAndMemory(t *testing.T) {
	self := []int{os.Getpid()}
	u, err := used(self)
	if err != nil || u.switches == 0 {
		t.Errorf("used %+v, %v", u, err)
	}
	m, err := resident(self)
	if err != nil || m.pss == 0 || m.rss < m.pss {
		t.Errorf("resident %+v, %v", m, err)
	}
}

func TestNumberOfALine(t *testing.T) {
	text := []byte("Rss:   1234 kB\nvoluntary_ctxt_switches:\t77\nnonvoluntary_ctxt_switches:\t5\n")
	for key, want := range map[string]uint64{"Rss:": 1234, "voluntary_ctxt_switches:": 77} {
		if got, err := number(text, key); got != want || err != nil {
			t.Errorf("%s %d, %v; want %d", key, got, err, want)
		}
	}
	if _, err := number(text, "Pss:"); err == nil {
		t.Error("a line that is not there was read")
	}
}

func TestStraceTableIsRead(t *testing.T) {
	const printed = `strace: Process 1 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.060000          60      1000           read
 39.00    0.039000          19      2000       999 accept4
  1.00    0.001000           1       300         2 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000          30      3300      1001 total
`
	got, err := parseStrace(printed)
	if want := []count{{"accept4", 2000}, {"read", 1000}, {"futex", 300}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := parseStrace(printed[:200]); err == nil {
		t.Error("half a table was accepted")
	}
}

func TestUWSGIRequestIsWhatAServerReads(t *testing.T) {
	r, err := uwsgi.ReadRequest(bufio.NewReader(bytes.NewReader(uwsgiRequest("/hello"))), uwsgi.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Vars {
		if v.Name == "PATH_INFO" && v.Value == "/hello" {
			return
		}
	}
	t.Errorf("no PATH_INFO /hello in %v", r.Vars)
}
