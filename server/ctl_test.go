package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// The control socket answers its owner and root, and nobody else, whatever
// somebody did to its mode.
func TestControlSocketRefusesOtherUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can try it as another user")
	}
	curl := servertest.Peer(t, "curl")
	i := servertest.Start(t, echoing, apps()...)
	path := filepath.Join(i.Dir, "control")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(i.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func(uid uint32) (string, error) {
		cmd := exec.Command(curl, "-sS", "--unix-socket", path, "http://control/status")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := ask(65534); err == nil || strings.Contains(out, "workers") {
		t.Errorf("another user was answered: %s", out)
	}
	if out, err := ask(0); err != nil || !strings.Contains(out, "workers") {
		t.Errorf("root was not answered: %v %s", err, out)
	}
	if !strings.Contains(i.Log(), "uid=65534") {
		t.Errorf("the log does not name the user that was refused:\n%s", i.Log())
	}
}

// While one reload runs, the command says that it is busy, with its own exit
// code; a signal is remembered.
func TestReloadWhileReloading(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing+"start-timeout = \"60s\"\n")
	i.Write(keep + strings.Replace(echoing, `"echo"`, `"hangs-at-start"`, 1) + "start-timeout = \"5s\"\n")
	first := make(chan string, 1)
	go func() {
		out, code := i.Command("reload")
		first <- fmt.Sprint(code, out)
	}()
	// From here on the first reload does not look at the file any more.
	i.Until("its first worker is being built", func() bool { return strings.Contains(i.Log(), "hanging") })
	if out, code := i.Command("reload"); code != 4 || !strings.Contains(out, "another reload is running") {
		t.Errorf("second reload: exit code %d, want 4\n%s", code, out)
	}
	i.Write(keep + echoing + "start-timeout = \"60s\"\n")
	i.Signal(syscall.SIGHUP)
	if got := <-first; !strings.HasPrefix(got, "1") || !strings.Contains(got, "start-timeout") {
		t.Errorf("the reload that hangs ended with %q", got)
	}
	i.WaitFor("the remembered reload was done", func(s stats.Snapshot) bool { return s.Generation > 1 && s.State == "serving" })
}

// With --json each step and the outcome is an object on a line of its own, and the exit code
// is the one of the text.
func TestReloadInJSON(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	i.Write(strings.Replace(keep, "reload-probation = 0", `reload-probation = "100ms"`, 1) + echoing)
	steps, outcome := reloadJSON(t, i, 0)
	if !slices.Equal(steps, []string{"load", "canary", "roll", "probation"}) {
		t.Errorf("steps %v", steps)
	}
	if s := i.Stats(); !outcome.OK || outcome.Generation != 2 || outcome.Build != s.Build || s.Generation != 2 {
		t.Errorf("%+v, the stats have generation %d of build %s", outcome, s.Generation, s.Build)
	}
	i.Write(keep + strings.Replace(echoing, `"echo"`, `"panics-at-start"`, 1))
	steps, outcome = reloadJSON(t, i, 1)
	if !slices.Equal(steps, []string{"load", "canary"}) || outcome.OK || outcome.Generation != 3 || outcome.Phase != "canary" ||
		!strings.Contains(outcome.Error+outcome.Words, "the chimney is on fire") {
		t.Errorf("a panic: %v, %+v", steps, outcome)
	}
	i.Write(keep + strings.Replace(echoing, `"echo"`, `"hangs-at-start"`, 1) + "start-timeout = \"60s\"\n")
	i.Signal(syscall.SIGHUP)
	i.Until("a worker is being built", func() bool { return strings.Contains(i.Log(), "hanging") })
	if steps, outcome = reloadJSON(t, i, 4); len(steps) > 0 || outcome.OK || !outcome.Busy {
		t.Errorf("while another runs: %v, %+v", steps, outcome)
	}
}

// reloadOutcome is the last line of reload --json.
type reloadOutcome struct {
	Done, OK, Busy, Queued     bool
	Generation                 int
	Build, Phase, Error, Words string
}

func reloadJSON(t *testing.T, i *servertest.Instance, want int, flags ...string) (steps []string, last reloadOutcome) {
	t.Helper()
	out, code := i.Command(append([]string{"reload", "--json"}, flags...)...)
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	for line := range strings.Lines(out) {
		if last.Done {
			t.Errorf("after the outcome comes %q", line)
		}
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if !last.Done {
			steps = append(steps, last.Phase)
			last = reloadOutcome{}
		}
	}
	if !last.Done {
		t.Errorf("no outcome:\n%s", out)
	}
	return steps, last
}

// With --no-wait the command leaves at once, also while a reload runs: it does what a HUP
// does, and one that is asked for then is done after it.
func TestReloadWithoutWaiting(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	if out, code := i.Command("reload", "--no-wait"); code != 0 || out != "reload asked for\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	i.WaitFor("it was done", func(s stats.Snapshot) bool { return s.Generation == 2 && s.State == "serving" })
	i.Write(keep + strings.Replace(echoing, `"echo"`, `"hangs-at-start"`, 1) + "start-timeout = \"3s\"\n")
	if steps, outcome := reloadJSON(t, i, 0, "--no-wait"); len(steps) > 0 || !outcome.OK || !outcome.Queued {
		t.Errorf("%v, %+v", steps, outcome)
	}
	i.Until("a worker is being built", func() bool { return strings.Contains(i.Log(), "hanging") })
	i.Write(keep + echoing)
	if out, code := i.Command("reload", "--no-wait"); code != 0 {
		t.Errorf("while another runs: exit code %d\n%s", code, out)
	}
	s := i.WaitFor("it was done after that", func(s stats.Snapshot) bool { return s.Generation == 4 && s.State == "serving" })
	if s.Reloads.OK != 2 || s.Reloads.Rejected != 1 {
		t.Errorf("%+v, want 2 that were done and the one that hung", s.Reloads)
	}
	if out, code := i.Command("reload", "--wait", "--no-wait"); code != 2 {
		t.Errorf("both: exit code %d, want 2\n%s", code, out)
	}
}

// A worker that is told to go is replaced before it goes: nobody notices.
func TestTerminatedWorkerIsReplacedFirst(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	load := servertest.Run(t, 4, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	for range 3 {
		old := i.Stats().Workers[0].PID
		if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		i.WaitFor("the worker was replaced", func(s stats.Snapshot) bool {
			return s.Workers[0].PID != old && s.Ready == 2 && !servertest.Alive(old)
		})
	}
	load.MustLoseNothing()
}
