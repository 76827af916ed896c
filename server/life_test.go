package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const gated = `
module = "gate"
processes = 2
threads = 2
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
control = "$DIR/control"
[env]
GATE = "$DIR/gate"
`

// inside starts a request and returns when its handler runs.
func inside(t *testing.T, i *servertest.Instance, g *servertest.Gate, rt http.RoundTripper) <-chan error {
	t.Helper()
	before := g.Inside()
	answer := make(chan error, 1)
	go func() { answer <- through(rt) }()
	i.Until("the handler runs", func() bool { return g.Inside() == before+1 })
	return answer
}

// TERM lets the request that runs complete, and leaves nothing behind.
func TestTermFinishesRunningRequests(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, gated)
	gate := servertest.NewGate(t, i.Dir)
	overHTTP := inside(t, i, gate, i.HTTP("http").Transport)
	overUWSGI := inside(t, i, gate, i.UWSGI("uwsgi"))
	i.Signal(syscall.SIGTERM)
	s := i.WaitFor("the master is stopping", func(s stats.Snapshot) bool { return s.State == "stopping" })
	if s.Generation != 1 || s.Build == "" {
		t.Errorf("while it stops, the stats show generation %d, build %q", s.Generation, s.Build)
	}
	i.Until("the socket accepts nobody", func() bool { return through(i.UWSGI("uwsgi")) != nil })
	gate.Open()
	for _, answer := range []<-chan error{overHTTP, overUWSGI} {
		if err := <-answer; err != nil {
			t.Errorf("a running request was lost: %v", err)
		}
	}
	if err := i.Wait(); err != nil {
		t.Errorf("the master ended with %v, want exit code 0\n%s", err, i.Log())
	}
	for _, name := range []string{"pid", "http", "uwsgi", "stats", "control"} {
		if _, err := os.Lstat(filepath.Join(i.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", name, err)
		}
	}
}

// The second TERM does not wait for anybody.
func TestSecondTermStopsAtOnce(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `worker-reload-mercy = "10m"`+gated) // longer than the test would wait
	gate := servertest.NewGate(t, i.Dir)
	answer := inside(t, i, gate, i.UWSGI("uwsgi"))
	i.Signal(syscall.SIGTERM)
	i.WaitFor("the master is stopping", func(s stats.Snapshot) bool { return s.State == "stopping" })
	i.Signal(syscall.SIGTERM)
	if err := i.Wait(); err != nil {
		t.Errorf("the master ended with %v, want exit code 0", err)
	}
	if err := <-answer; err == nil {
		t.Error("a request whose handler never returned was answered")
	}
}

// A master that is killed leaves no orphans: its workers finish what they do and
// go, and a new master can start at once.
func TestKilledMasterLeavesNoOrphans(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, gated)
	gate := servertest.NewGate(t, i.Dir)
	answer := inside(t, i, gate, i.UWSGI("uwsgi"))
	var workers []int
	for _, w := range i.Stats().Workers {
		workers = append(workers, w.PID)
	}
	i.Signal(syscall.SIGKILL)
	_ = i.Wait()
	again := exec.Command(os.Args[0], "--config", i.Config)
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = again.Process.Signal(syscall.SIGQUIT)
		_ = again.Wait()
	})
	i.WaitFor("a new master took the stale sockets and pidfile", func(s stats.Snapshot) bool {
		return s.PID == again.Process.Pid && s.Ready == 2
	})
	gate.Open()
	if err := <-answer; err != nil {
		t.Errorf("the request that ran when the master was killed was lost: %v", err)
	}
	for _, pid := range workers {
		i.Until(fmt.Sprintf("worker %d is gone", pid), func() bool { return !servertest.Alive(pid) })
	}
}

// Workers without a master wait for a handler that never returns no longer than
// worker-reload-mercy: the gate of this test stays shut.
func TestOrphansOutliveTheirMasterByTheMercyAtMost(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `worker-reload-mercy = "2s"`+gated)
	gate := servertest.NewGate(t, i.Dir)
	answer := inside(t, i, gate, i.UWSGI("uwsgi"))
	var workers []int
	for _, w := range i.Stats().Workers {
		workers = append(workers, w.PID)
	}
	i.Signal(syscall.SIGKILL)
	_ = i.Wait()
	for _, pid := range workers {
		i.Until(fmt.Sprintf("worker %d is gone", pid), func() bool { return !servertest.Alive(pid) })
	}
	if err := <-answer; err == nil {
		t.Error("a request whose handler never returned was answered")
	}
}

// A second start is refused with the pid of the first, by the pidfile and by the
// live socket, and disturbs nothing.
func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "echo"
processes = 1
socket = "$DIR/uwsgi"
`)
	pid := strconv.Itoa(i.PID())
	if out, code := i.Command(); code != 1 || !strings.Contains(out, "pid "+pid) {
		t.Errorf("same pidfile: exit code %d, output %q; want 1 and pid %s", code, out, pid)
	}
	i.Write(`
module = "echo"
processes = 1
socket = "$DIR/uwsgi"
pidfile = "$DIR/other.pid"
`)
	if out, code := i.Command(); code != 1 || !strings.Contains(out, pid) || !strings.Contains(out, i.Dir+"/uwsgi") {
		t.Errorf("same socket: exit code %d, output %q; want 1, the socket and pid %s", code, out, pid)
	}
	if _, err := os.Stat(filepath.Join(i.Dir, "other.pid")); err == nil {
		t.Error("the refused start left its pidfile")
	}
	if err := servertest.Echo(i.UWSGI("uwsgi"), "http://site/")(); err != nil {
		t.Errorf("the first server was disturbed: %v", err)
	}
	if got := strings.TrimSpace(i.Read("pid")); got != pid {
		t.Errorf("the pidfile says %q, want %s", got, pid)
	}
}

func TestFiveMistakesAreFiveLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(servertest.Dir(t), "bad.toml")
	err := os.WriteFile(path, []byte(`modul = "echo"
processes = 0
threads = "two"
socket = "0.0.0.0:8000"
start-timeout = "soon"
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--config", path}, {"check", "--config", path}, {"plan", "--config", path}} {
		out, code := servertest.Command(t, args...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if code != 2 || len(lines) != 5 {
			t.Fatalf("%v: exit code %d and %d lines, want 2 and 5:\n%s", args, code, len(lines), out)
		}
		for n, line := range lines {
			if !strings.HasPrefix(line, fmt.Sprintf("%s:%d: ", path, n+1)) {
				t.Errorf("line %q does not name %s:%d", line, path, n+1)
			}
		}
	}
}

// What New says reaches the terminal and the exit code is 3, in the foreground
// and with daemonize; also what a New that ends its process said to nobody.
func TestStartThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	for module, words := range map[string]*regexp.Regexp{
		"refuses":         regexp.MustCompile(`no database at db.example:5432`),
		"panics-at-start": regexp.MustCompile(`the chimney is on fire`),
		"exits-at-start":  regexp.MustCompile(`(?s)no licence found.*exited with status 7|exited with status 7.*no licence found`),
		"hangs-at-start":  regexp.MustCompile(`start-timeout`),
	} {
		for _, daemonize := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/daemonize=%t", module, daemonize), func(t *testing.T) {
				t.Parallel()
				dir := servertest.Dir(t)
				path := filepath.Join(dir, "app.toml")
				text := fmt.Sprintf("module = %q\nprocesses = 2\nsocket = \"u\"\npidfile = \"pid\"\n", module)
				if module == "hangs-at-start" { // the others have the time that they need
					text += "start-timeout = \"2s\"\n"
				}
				if daemonize {
					text += "daemonize = \"log\"\n"
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				out, code := servertest.Command(t, "--config", path)
				if code != 3 || !words.MatchString(out) {
					t.Errorf("exit code %d, want 3 and %s in:\n%s", code, words, out)
				}
				if strings.Contains(out, "build: ") {
					t.Errorf("the worker says again what its master says:\n%s", out)
				}
				left, err := filepath.Glob(filepath.Join(dir, "*"))
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range left {
					if base := filepath.Base(name); base != "app.toml" && base != "log" {
						t.Errorf("%s is left behind", base)
					}
				}
			})
		}
	}
}

// The launching command returns when the daemon serves, and what it printed and
// returned is true.
func TestDaemonize(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	path := filepath.Join(dir, "app.toml")
	err := os.WriteFile(path, []byte(`module = "echo"
processes = 2
http-socket = "http"
pidfile = "pid"
daemonize = "log"
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	out, code := servertest.Command(t, "--config", path)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	t.Cleanup(func() { servertest.Command(t, "stop", "--now", "--config", path) })
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatalf("the command returned before the pidfile was there: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !strings.Contains(out, "pid "+strconv.Itoa(pid)) {
		t.Errorf("pidfile %q, output %q", text, out)
	}
	if sid, err := sessionOf(pid); err != nil || sid != pid {
		t.Errorf("session of the daemon is %d (%v), want its own, %d", sid, err, pid)
	}
	if st, err := os.Stat(filepath.Join(dir, "pid")); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("pidfile: %v %v, want mode 0644", st.Mode(), err)
	}
	out, code = servertest.Command(t, "stop", "--config", path)
	if code != 0 || servertest.Alive(pid) {
		t.Errorf("stop: exit code %d, daemon alive: %t\n%s", code, servertest.Alive(pid), out)
	}
}

func sessionOf(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strconv.Atoi(strings.Fields(rest)[3])
}

// A disk without room costs lines of the log, not requests.
func TestFullDiskCostsLogLinesOnly(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "echo"
processes = 2
http-socket = "$DIR/http"
logto = "/dev/full"
req-logger = "/dev/full"
`)
	load := servertest.Run(t, 4, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	i.Until("requests flow", func() bool { return load.Done() > 100 })
	if out, code := i.Command("reload"); code != 0 {
		t.Errorf("reload: exit code %d\n%s", code, out)
	}
	load.MustLoseNothing()
}
