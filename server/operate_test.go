package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const echoing = `
module = "echo"
processes = 2
threads = 2
http-socket = "$DIR/http"
control = "$DIR/control"
`

// The commands wait for the outcome and exit with it.
func TestCommandsTellTheOutcome(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, echoing, apps()...)
	if out, code := i.Command("reload"); code != 0 || !strings.Contains(out, "generation 2") {
		t.Errorf("reload: exit code %d\n%s", code, out)
	}
	if out, code := i.Command("status"); code != 0 || !strings.Contains(out, "generation 2") || !strings.Contains(out, "2 of 2 workers ready") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	out, code := i.Command("status", "--json")
	var s stats.Snapshot
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil || s.Generation != 2 || s.PID != os.Getpid() {
		t.Errorf("status --json: exit code %d, %v\n%s", code, err, out)
	}
	if out, code := i.Command("stop"); code != 0 || !strings.Contains(out, "stopped") {
		t.Errorf("stop: exit code %d\n%s", code, out)
	}
	if err := i.Wait(); err != nil {
		t.Errorf("Run returned %v after stop", err)
	}
	if out, code := i.Command("status"); code != 1 || !strings.Contains(out, "nothing is running here") {
		t.Errorf("status of a stopped server: exit code %d\n%s", code, out)
	}
}

// A reload that does not come up leaves everything as it was and says why, in
// the new program's own words.
func TestBadReloadChangesNothing(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	taken, err := net.Listen("unix", filepath.Join(i.Dir, "taken"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := i.Stats()
	for _, bad := range []struct{ name, toml, words string }{
		{"New returns an error", strings.Replace(echoing, `"echo"`, `"refuses"`, 1), "no database at db.example:5432"},
		{"New panics", strings.Replace(echoing, `"echo"`, `"panics-at-start"`, 1), "the chimney is on fire"},
		{"exit in New", strings.Replace(echoing, `"echo"`, `"exits-at-start"`, 1), "exited with status 7 before it was ready\nno licence found"},
		{"a mistake in the file", echoing + "\n[env]\nx = 1\n", "app.toml:"},
		{"no such app", strings.Replace(echoing, `"echo"`, `"nobody"`, 1), `"nobody"`},
		{"a socket that is taken", strings.Replace(echoing, "http-socket = ", "socket = \"$DIR/taken\"\nhttp-socket = ", 1), "listens on it"},
		{"a key that takes a restart", echoing + "\nvacuum = false\n", "restart"},
	} {
		i.Write(keep + bad.toml)
		if out, code := i.Command("reload"); code != 1 || !strings.Contains(out, bad.words) {
			t.Errorf("%s: exit code %d, want 1 and %q in:\n%s", bad.name, code, bad.words, out)
		}
	}
	i.Write(keep + echoing)
	after := i.Stats()
	for n, w := range after.Workers {
		if w.PID != before.Workers[n].PID {
			t.Errorf("worker %d was replaced by a reload that failed", n+1)
		}
	}
	if out, code := i.Command("reload"); code != 0 {
		t.Errorf("the good reload after the bad ones: exit code %d\n%s", code, out)
	}
	load.MustLoseNothing()
}

// keep is what servertest adds to a configuration: a reload must not change it.
const keep = `
pidfile = "$DIR/pid"
stats = "$DIR/stats"
logto = "$DIR/log"
req-logger = "$DIR/access"
reload-probation = 0
`

// Workers come and go by signal; a removed worker's numbers stay.
func TestWorkersAreAddedAndRemovedBySignal(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	load := servertest.Run(t, 4, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	watch := watchTotals(t, i)
	i.Signal(syscall.SIGTTIN)
	i.WaitFor("a third worker", func(s stats.Snapshot) bool { return s.Ready == 3 })
	i.Signal(syscall.SIGTTOU)
	i.WaitFor("two workers are left", func(s stats.Snapshot) bool { return s.Ready == 2 })
	i.Signal(syscall.SIGTTOU) // a signal that is pending already would not count
	i.WaitFor("one worker is left", func(s stats.Snapshot) bool { return s.Ready == 1 && len(children(t, i.PID())) == 1 })
	i.Signal(syscall.SIGTTOU) // the last one stays
	before := load.Done()
	i.Until("requests flow", func() bool { return load.Done() > before+20 })
	if s := i.Stats(); s.Ready != 1 || s.Wanted != 1 {
		t.Errorf("%d of %d workers are ready, want the last one and nobody missed", s.Ready, s.Wanted)
	}
	if out, code := i.Command("status"); code != 0 || !strings.Contains(out, "1 of 1 workers ready") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	load.MustLoseNothing()
	watch.stop()
}

// After the log files were moved away, USR1 makes every process write new ones,
// and no line of the access log is lost.
func TestLogsAreReopenedWithoutLosingALine(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/line"))
	const rotations = 3
	for n := range rotations {
		for _, name := range []string{"log", "access"} {
			old := filepath.Join(i.Dir, name)
			if err := os.Rename(old, fmt.Sprintf("%s.%d", old, n)); err != nil {
				t.Fatal(err)
			}
		}
		i.Signal(syscall.SIGUSR1)
		i.Until("both logs are written again", func() bool {
			i.Signal(syscall.SIGUSR2) // a status line for the log
			return strings.Contains(i.Read("log"), "status") && strings.Contains(i.Read("access"), "/line")
		})
	}
	load.MustLoseNothing()
	i.Signal(syscall.SIGTERM)
	if err := i.Wait(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, name := range []string{"access", "access.0", "access.1", "access.2"} {
		lines += strings.Count(i.Read(name), "POST /line")
	}
	if int64(lines) != load.Done() {
		t.Errorf("%d lines in the access logs for %d requests", lines, load.Done())
	}
}

// Touching a file of touch-reload reloads, also when it is replaced or appears.
func TestTouchReload(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing+`touch-reload = "$DIR/touch-me"`)
	path := filepath.Join(i.Dir, "touch-me")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	i.WaitFor("a file that appears reloads", func(s stats.Snapshot) bool { return s.Generation == 2 && s.State == "serving" })
	if err := os.WriteFile(path+".new", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	i.WaitFor("a file that is replaced reloads", func(s stats.Snapshot) bool { return s.Generation == 3 })
}

// A worker gets its folder, umask and environment from the file, and nothing of
// systemd's.
func TestWorkersSurroundings(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("BELOW", "from the master")
	dir := servertest.Dir(t)
	vars := filepath.Join(dir, "vars")
	if err := os.WriteFile(vars, []byte("IN_FILE=from env-file\nBOTH=loses\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	i := servertest.Start(t, fmt.Sprintf(`
module = "surroundings"
processes = 1
http-socket = "$DIR/http"
chdir = %q
umask = "0027"
env-file = %q
[env]
IN_TABLE = "from env"
BOTH = "table wins"
`, dir, vars), apps()...)
	for name, want := range map[string]string{
		"BELOW": "from the master", "IN_FILE": "from env-file", "IN_TABLE": "from env", "BOTH": "table wins", "NOTIFY_SOCKET": "",
	} {
		_, page := get(t, i.HTTP("http").Transport, "http://site/?env="+name)
		if want := dir + "\n-rw-r-----\n" + want; page != want {
			t.Errorf("%s: the worker says %q, want %q", name, page, want)
		}
	}
}

// The control socket and unix sockets have the modes of the design.
func TestSocketModes(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, echoing, apps()...)
	for name, want := range map[string]os.FileMode{"http": 0o660, "control": 0o600, "pid": 0o644} {
		st, err := os.Stat(filepath.Join(i.Dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v), want %v", name, st.Mode().Perm(), err, want)
		}
	}
}

// A request cannot forge a line of the access log.
func TestAccessLogEscapes(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"combined", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			i := servertest.Launch(t, echoing+fmt.Sprintf("req-format = %q\n", format))
			req, err := http.NewRequest(http.MethodGet, "http://site/page?q=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", "evil\"\tagent\\ \x85")
			req.Header.Set("Referer", "http://\"quoted\"/")
			resp, err := i.HTTP("http").Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			i.Until("the line is there", func() bool { return strings.HasSuffix(i.Read("access"), "\n") })
			line := i.Read("access")
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, "/page?q=1") {
				t.Fatalf("want one line, got %q", line)
			}
			if format == "json" {
				var fields map[string]any
				if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["status"] != float64(200) {
					t.Errorf("%q: %v", line, err)
				}
				return
			}
			if want := `"http://\x22quoted\x22/" "evil\x22\x09agent\x5C \x85"`; !strings.Contains(line, want) {
				t.Errorf("line %q does not contain %q", line, want)
			}
		})
	}
}

// With log-format = "json" every line is one, the stack of a panic in a worker
// included.
func TestJSONLogHasNothingElse(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(echoing, `"echo"`, `"panics"`, 1)+"log-format = \"json\"\n")
	if status, _ := get(t, i.HTTP("http").Transport, "http://site/"); status != http.StatusInternalServerError {
		t.Errorf("a handler that panics answered %d", status)
	}
	i.Until("the panic is logged", func() bool { return strings.Contains(i.Log(), "the handler's own words") })
	i.Signal(syscall.SIGTERM)
	if err := i.Wait(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(i.Log()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["@message"] == nil {
			t.Errorf("%v: %q", err, line)
		}
	}
}
