package master

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

func TestAWorkerIsBornAsTheContractSays(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	i := start(t, Plan{
		Workers: 2, Sockets: []Socket{unixSocket(path), tcp("127.0.0.1:0")}, Dir: dir,
		Env: append(os.Environ(), "LISTEN_FDS=3"),
	})
	s := i.Snapshot()
	got := ask(t, path)
	if got.Group != got.PID {
		t.Errorf("worker %d is in process group %d", got.PID, got.Group)
	}
	if want := fmt.Sprintf("%s: worker %d", filepath.Base(os.Args[0]), got.Slot); got.Name != want {
		t.Errorf("its name is %q, want %q", got.Name, want)
	}
	if got.Leaked != "" {
		t.Errorf("its environment has %s", got.Leaked)
	}
	if want := fmt.Sprint((runtime.GOMAXPROCS(0) + 1) / 2); got.Procs != want {
		t.Errorf("GOMAXPROCS=%s, want %s", got.Procs, want)
	}
	if real, _ := filepath.EvalSymlinks(dir); got.Dir != real {
		t.Errorf("its directory is %s, want %s", got.Dir, real)
	}
	// The control connection, two listeners and the one it answers on: a fifth socket
	// would be a sibling's, and keep the master from seeing the sibling's end.
	sockets := 0
	for _, fd := range got.Descriptors {
		if strings.Contains(fd, "socket:") {
			sockets++
		}
		if strings.Contains(fd, "memfd:ostler-crash") {
			continue // the Go runtime's own duplicate
		}
		if strings.Contains(fd, "memfd") || strings.Contains(fd, os.Args[0]) {
			t.Errorf("descriptor %s was kept", fd)
		}
	}
	if sockets != 4 {
		t.Errorf("its descriptors are %q", got.Descriptors)
	}
	if w := s.Workers[got.Slot-1]; w.PID != got.PID || w.Accepting != 1 || w.RSS == 0 || w.RespawnCount != 1 {
		t.Errorf("the snapshot says %+v", w)
	}
	if ask(t, s.Sockets[1].Name).Generation != 1 {
		t.Error("the second socket is not served")
	}
	i.checkSockets()
}

func TestWorkersRunAsSomebodyElse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	// The test binary lies where only root can look: it is executed by its descriptor.
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}, Dir: "/", Credential: &Credential{Uid: 65534, Gid: 65534}})
	if got := ask(t, i.Snapshot().Sockets[0].Name); got.UID != 65534 {
		t.Errorf("it runs as %d", got.UID)
	}
}

// TestARespawnDoesNotWedgeItsSiblings is the O_NONBLOCK trap: a launch that clears the
// flag makes the accepts of all running workers block, and their drains hang.
func TestARespawnDoesNotWedgeItsSiblings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	i := start(t, Plan{Workers: 2, Sockets: []Socket{unixSocket(path), tcp("127.0.0.1:0")}})
	i.checkSockets()
	first := i.Snapshot().Workers[0].PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := i.await("the respawn", func(s stats.Snapshot) bool { return s.Ready == 2 && s.Workers[0].PID != first })
	if s.Workers[0].RespawnCount != 2 || !strings.Contains(s.Workers[0].LastExit, "signal 9") {
		t.Errorf("worker 1: %+v", s.Workers[0])
	}
	i.checkSockets()
	ask(t, path) // whoever blocks in accept has been through it now
	i.RemoveWorker()
	s = i.await("the drain", func(s stats.Snapshot) bool { return s.Workers[1].PID == 0 })
	if s.Workers[1].LastExit != "exited with status 0" {
		t.Errorf("worker 2 %s", s.Workers[1].LastExit)
	}
	if got := ask(t, path); got.Slot != 1 {
		t.Errorf("worker %d answers", got.Slot)
	}
}

func TestTheEndOfTheContextDrainsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	i := start(t, Plan{Workers: 3, Sockets: []Socket{unixSocket(path)}})
	ask(t, path)
	before := pids(i.Snapshot())
	i.stop()
	if err := within(t, "the end", i.ended); err != nil {
		t.Error(err)
	}
	for n, pid := range before {
		if !gone(pid) {
			t.Errorf("process %d is still there, perhaps as a zombie", pid)
		}
		if w := i.Snapshot().Workers[n]; w.LastExit != "exited with status 0" {
			t.Errorf("worker %d %s", w.ID, w.LastExit)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if n := requests(i.Snapshot()); n != 1 {
		t.Errorf("%d requests are shown after the end, want 1", n)
	}
}

func TestWorkersLeaveWhenTheirMasterIsGone(t *testing.T) {
	// The launcher's side of it: what the kernel does when a master dies is to close its
	// end of the control connection.
	l, err := PinExecutable(os.Args[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := l.Launch(Spec{Slot: 1, Threads: 1, Stdio: [2]*os.File{os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	exit := make(chan Exit, 1)
	go func() { p.Wait(); exit <- p.Reap() }()
	if m, err := p.Conn().Recv(); err != nil || m.(control.Hello).PID != p.PID() {
		t.Errorf("it says %+v, %v", m, err)
	}
	if err := errors.Join(p.Conn().Send(control.Setup{Slot: 1, Config: config(t, tinyConfig{})}), p.Conn().Close()); err != nil {
		t.Fatal(err)
	}
	if e := within(t, "its exit", exit); e.Signal != 0 {
		t.Errorf("it %s", e)
	}
	if err := p.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal after the end: %v", err)
	}
}

func TestAStartThatFailsGivesTheProgramsReason(t *testing.T) {
	for _, test := range []struct {
		config tinyConfig
		want   string
	}{
		{tinyConfig{Fail: "open database: connection refused"}, "open database: connection refused"},
		{tinyConfig{Exit: 2}, "worker 1 exited with status 2 before it was ready"},
		{tinyConfig{Exit: 3, Say: "no licence"}, "worker 1 exited with status 3 before it was ready\nno licence"},
		{tinyConfig{Panic: "upside down"}, "worker 1 exited with status 2 before it was ready\npanic: upside down"},
	} {
		i := launch(t, Plan{Workers: 1, Config: config(t, test.config), Sockets: []Socket{tcp("127.0.0.1:0")}})
		var failed *StartError
		if err := within(t, "the end", i.ended); !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("run ends with %v, want %s", err, test.want)
		}
	}
}

// A folder that was removed gives the kernel's words for a program that is not there.
func TestALaunchInAFolderThatIsGoneNamesIt(t *testing.T) {
	l, err := PinExecutable(os.Args[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := filepath.Join(t.TempDir(), "gone")
	_, err = l.Launch(Spec{Slot: 1, Threads: 1, Dir: gone, Stdio: [2]*os.File{os.Stdout, os.Stderr}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), gone) {
		t.Errorf("launch: %v", err)
	}
}

func TestThePinnedProgramHasAPath(t *testing.T) {
	x, err := PinExecutable(os.Args[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	cmd := exec.Command(x.Path())
	cmd.Env = []string{holdEnv + "=" + filepath.Join(t.TempDir(), "s")}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "listening\n" {
		t.Errorf("it says %q, %v", out, err)
	}
}

// TestADeathIsHeardAtOnce: should the launcher keep its copy of the worker's end, the end
// would only be heard when the garbage collector has closed that.
func TestADeathIsHeardAtOnce(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	l, err := PinExecutable(os.Args[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := l.Launch(Spec{Slot: 1, Threads: 1, Stdio: [2]*os.File{os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Conn().Close()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	p.Wait()
	if e := p.Reap(); e.Signal != syscall.SIGKILL {
		t.Errorf("it %s", e)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := p.Conn().Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := within(t, "the end of the connection", ended); err != io.EOF {
		t.Errorf("the connection ends with %v", err)
	}
}
