package server_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// However a handler takes its process with it: the report has the runtime's own words and
// names exactly the requests that failed; those of the other worker are answered.
func TestACrashIsReportedWhole(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct{ words, exit string }{
		"map":       {"concurrent map writes", "exited with status 2"},
		"overflow":  {"stack overflow", "exited with status 2"},
		"exit":      {"", "exited with status 3"},
		"memory":    {"out of memory", "exited with status 2"},
		"goroutine": {"panic: alone in a goroutine", "exited with status 2"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, failed := crashOne(t, kind)
			if !strings.Contains(c.Words, want.words) || want.words == "" && c.Words != "" || c.Exit != want.exit || c.Reason != "exit" || c.Ready != 1 {
				t.Errorf("%s (%s), ready %d: %.600s", c.Exit, c.Reason, c.Ready, c.Words)
			}
			if c.MaxRSS == 0 || c.UptimeMS == 0 || c.PID == 0 {
				t.Errorf("the report lacks numbers: %+v", c)
			}
			var died []string
			for _, q := range c.InFlight {
				died = append(died, q.Path)
			}
			slices.Sort(died)
			if !slices.Equal(died, failed) {
				t.Errorf("the report names %v, failed have %v", died, failed)
			}
			if text, err := os.ReadFile(c.File); err != nil || !strings.Contains(string(text), "/trouble/crash/"+kind) || !strings.Contains(string(text), want.words) {
				t.Errorf("crash-dir: %v: %.300s", err, text)
			}
		})
	}
}

// crashOne fills both workers but for a slot each, crashes one, and lets the rest go. It gives
// the report, and the paths of the requests that failed, in order.
func crashOne(t *testing.T, kind string) (stats.Crash, []string) {
	i := servertest.Launch(t, strings.Replace(troubled, `harakiri = "500ms"`, "", 1))
	gate := servertest.NewGate(t, i.Dir)
	var mu sync.Mutex
	var failed []string
	var asking sync.WaitGroup
	ask := func(path string) {
		asking.Go(func() {
			if resp, _, err := fetch(i.UWSGI("uwsgi"), "http://site"+path); err != nil || resp.StatusCode != http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, path)
			}
		})
	}
	for n := range 7 { // of eight slots
		ask(fmt.Sprintf("/trouble/hold/%d", n))
	}
	i.Until("seven requests are held", func() bool { return gate.Inside() == 7 })
	before := i.Stats()
	ask("/trouble/crash/" + kind)
	s := i.WaitFor("a crash", func(s stats.Snapshot) bool { return len(s.Crashes) == 1 })
	i.WaitFor("a successor is ready", func(s stats.Snapshot) bool { return s.Ready == 2 && !slices.Equal(workerPIDs(s), workerPIDs(before)) })
	gate.Open()
	asking.Wait()
	slices.Sort(failed)
	c := s.Crashes[0]
	i.Until("the report is written", func() bool {
		st, err := os.Stat(filepath.Join(i.Dir, filepath.Base(cmp.Or(c.File, "none"))))
		return err == nil && st.Size() > 0
	})
	return c, failed
}

// A program that ran well and cannot start any more, because its database is gone: those that
// run go on, the tries come at longer and longer intervals, and when the cause is gone so is
// the trouble. When nobody is left, clients wait in the kernel.
func TestWorkersComeBackWithTheirDatabase(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "database")
	open := func() { servertest.Put(t, database, []byte("rows"), 0o644) }
	open()
	i := servertest.Launch(t, `
module = "database"
processes = 2
threads = 2
socket = "$DIR/uwsgi"
control = "$DIR/control"
[env]
DATABASE = "`+database+`"
`)
	if err := os.Remove(database); err != nil {
		t.Fatal(err)
	}
	pids := workerPIDs(i.Stats())
	first, second := pids[0], pids[1]
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	load := servertest.Run(t, 2, servertest.Echo(i.UWSGI("uwsgi"), "http://site/"))
	tries := func(s stats.Snapshot) uint64 { return s.Workers[0].Restarts.StartFailed }
	s := i.WaitFor("three tries have failed", func(s stats.Snapshot) bool { return tries(s) >= 3 && s.Workers[0].State == "backoff" })
	if s.Ready != 1 || s.Workers[1].PID != second || !strings.Contains(s.Workers[0].LastExit+i.Log(), "no such file or directory") {
		t.Errorf("%d ready, worker 2 is %d, was %d; %s", s.Ready, s.Workers[1].PID, second, s.Workers[0].LastExit)
	}
	if waits := respawns(i.Log()); len(waits) < 3 || waits[len(waits)-1] <= waits[0] {
		t.Errorf("it waited %v between its tries", waits)
	}
	if status, body := page(t, i, "stats", "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "1 of 2 workers") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	load.MustLoseNothing()

	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.WaitFor("nobody is left", func(s stats.Snapshot) bool { return s.Ready == 0 && s.Workers[1].State == "backoff" })
	if out, code := i.Command("status"); code != 0 || !strings.Contains(out, "0 of 2 workers ready") || !strings.Contains(out, "exited with status 1") {
		t.Errorf("status: %d %s", code, out)
	}
	waiting := servertest.Run(t, 1, servertest.Echo(i.UWSGI("uwsgi"), "http://site/"))
	i.WaitFor("a client waits in the kernel", func(s stats.Snapshot) bool { return s.ListenQueue == 1 })
	open()
	i.WaitFor("both are back", func(s stats.Snapshot) bool { return s.Ready == 2 })
	waiting.MustLoseNothing()
	if waiting.Done() == 0 {
		t.Error("who had waited was not answered")
	}
}

// respawns reads from the log how long a slot waited after each death.
func respawns(log string) (waits []time.Duration) {
	for _, m := range regexp.MustCompile(`respawn_in=(\S+)`).FindAllStringSubmatch(log, -1) {
		if d, err := time.ParseDuration(strings.Trim(m[1], `"`)); err == nil {
			waits = append(waits, d)
		}
	}
	return waits
}
