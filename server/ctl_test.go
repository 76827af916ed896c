package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	i.Write(keep + strings.Replace(echoing, `"echo"`, `"hangs-at-start"`, 1) + "start-timeout = \"3s\"\n")
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
