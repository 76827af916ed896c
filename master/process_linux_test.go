package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// instance is a real master with real workers.
type instance struct {
	*Master
	t     *testing.T
	stop  context.CancelFunc
	ended chan error

	mu     sync.Mutex
	plan   Plan
	binary string
}

func config(t *testing.T, c tinyConfig) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func start(t *testing.T, plan Plan) *instance {
	t.Helper()
	i := launch(t, plan)
	select {
	case <-i.Started():
	case err := <-i.ended:
		t.Fatalf("it does not start: %v", err)
	case <-time.After(patience):
		t.Fatal("it does not start")
	}
	return i
}

func launch(t *testing.T, plan Plan) *instance {
	t.Helper()
	if plan.Config == nil {
		plan.Config = config(t, tinyConfig{})
	}
	plan.Threads = 1
	i := &instance{t: t, plan: plan, ended: make(chan error, 1), binary: os.Args[0]}
	i.Master = New(Options{Load: i.load, Vacuum: true})
	i.backoff.base = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	go func() { i.ended <- i.Run(ctx); close(i.ended) }()
	t.Cleanup(func() {
		i.Stop(true)
		for range i.ended {
		}
		stop()
	})
	return i
}

func (i *instance) load(context.Context) (Plan, Launcher, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, err := PinExecutable(i.binary, nil)
	return i.plan, l, err
}

func (i *instance) change(f func(*Plan)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(&i.plan)
}

// await waits until the snapshot is as it should be.
func (i *instance) await(what string, ok func(stats.Snapshot) bool) stats.Snapshot {
	i.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := i.Snapshot(); ok(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			i.t.Fatalf("waited too long for %s: %+v", what, i.Snapshot())
		}
	}
}

// ask connects and hears who answers.
func ask(t *testing.T, name string) tale {
	t.Helper()
	c, err := net.DialTimeout(network(name), name, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	raw, err := io.ReadAll(c)
	var told tale
	if err := errors.Join(err, json.Unmarshal(raw, &told)); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return told
}

// checkSockets: no launch may have touched the flag that all workers share.
func (i *instance) checkSockets() {
	i.t.Helper()
	for _, b := range i.view.Load().sockets {
		if !nonblocking(i.t, b.FD()) {
			i.t.Errorf("%s lost O_NONBLOCK", b.Name)
		}
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func pids(s stats.Snapshot) []int {
	var list []int
	for _, w := range s.Workers {
		list = append(list, w.PID)
	}
	return list
}

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

func requests(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		n += w.Requests
	}
	return n
}

func TestWorkersLeaveWhenTheirMasterIsGone(t *testing.T) {
	// The launcher's side of it: what the kernel does when a master dies is to close its
	// end of the control connection.
	l, err := PinExecutable(os.Args[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := l.Launch(Spec{Slot: 1, Workers: 1, Threads: 1, Stdio: [2]*os.File{os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	exit := make(chan Exit, 1)
	go func() { exit <- p.Wait() }()
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
	} {
		i := launch(t, Plan{Workers: 1, Config: config(t, test.config), Sockets: []Socket{tcp("127.0.0.1:0")}})
		var failed *StartError
		if err := within(t, "the end", i.ended); !errors.As(err, &failed) || err.Error() != test.want {
			t.Errorf("run ends with %v, want %s", err, test.want)
		}
	}
}

// TestThePinnedProgramOutlivesItsFile: a respawn runs what its siblings run, whatever was
// copied over the file; the next reload takes what is there.
func TestThePinnedProgramOutlivesItsFile(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "app")
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	install := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(binary+".new", content, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(binary+".new", binary); err != nil {
			t.Fatal(err)
		}
	}
	install(program)
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}})
	i.mu.Lock()
	i.binary = binary
	i.mu.Unlock()
	if _, err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	install([]byte("this is no program"))
	o, err := i.Reload(t.Context())
	if err == nil || o.Step != StepCanary || !strings.Contains(o.Reason, "exec format error") {
		t.Errorf("reload to a broken file: %+v, %v", o, err)
	}
	before := i.Snapshot().Workers[0].PID
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := i.await("the respawn", func(s stats.Snapshot) bool { return s.Ready == 1 && s.Workers[0].PID != before })
	if got := ask(t, s.Sockets[0].Name); got.Generation != 2 || !strings.HasPrefix(got.Name, "app: ") {
		t.Errorf("%+v answers", got)
	}
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	if o, err := i.Reload(t.Context()); err == nil || o.Step != StepLoad {
		t.Errorf("reload to no file: %+v, %v", o, err)
	}
}

func TestSocketsComeAndGoWithReloads(t *testing.T) {
	dir := t.TempDir()
	kept, removed, added := filepath.Join(dir, "kept"), filepath.Join(dir, "removed"), filepath.Join(dir, "added")
	i := start(t, Plan{Workers: 1, Sockets: []Socket{unixSocket(removed), unixSocket(kept)}})
	keptFile, err := identify(kept)
	if err != nil {
		t.Fatal(err)
	}
	pid, end := holder(t, added)
	adjusted := unixSocket(kept)
	adjusted.Mode = 0o606
	i.change(func(p *Plan) { p.Sockets = []Socket{adjusted, unixSocket(added)} })
	o, err := i.Reload(t.Context())
	if err == nil || o.Step != StepBind || !strings.Contains(o.Reason, fmt.Sprintf("process %d", pid)) {
		t.Errorf("a socket that is taken: %+v, %v", o, err)
	}
	if info, err := os.Lstat(kept); err != nil || info.Mode().Perm() == 0o606 {
		t.Errorf("a rejected plan changed the mode: %v, %v", info.Mode(), err)
	}
	ask(t, removed)
	end()
	if _, err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.await("the removed socket to go", func(stats.Snapshot) bool { _, err := os.Lstat(removed); return err != nil })
	if now, err := identify(kept); err != nil || *now != *keptFile {
		t.Errorf("the kept socket is another file: %v", err)
	}
	if info, err := os.Lstat(kept); err != nil || info.Mode().Perm() != 0o606 {
		t.Errorf("the new mode is not there: %v, %v", info.Mode(), err)
	}
	for _, path := range []string{kept, added} {
		if got := ask(t, path); got.Generation != 3 {
			t.Errorf("%s: generation %d answers", path, got.Generation)
		}
	}
	i.checkSockets()
}

func TestARejectedPlansSocketsAreTakenBack(t *testing.T) {
	dir := t.TempDir()
	old, added := filepath.Join(dir, "old"), filepath.Join(dir, "added")
	i := start(t, Plan{Workers: 1, Sockets: []Socket{unixSocket(old)}})
	i.change(func(p *Plan) {
		p.Sockets = append(p.Sockets[:1:1], unixSocket(added))
		p.Config = config(t, tinyConfig{Exit: 3})
	})
	if o, err := i.Reload(t.Context()); err == nil || !strings.Contains(o.Reason, "exited with status 3") {
		t.Errorf("reload: %+v, %v", o, err)
	}
	i.await("the socket to go", func(stats.Snapshot) bool { _, err := os.Lstat(added); return err != nil })
	if got := ask(t, old); got.Generation != 1 {
		t.Errorf("generation %d answers", got.Generation)
	}
	i.change(func(p *Plan) {
		s := tcp(old)
		p.Sockets = []Socket{s}
	})
	if o, err := i.Reload(t.Context()); err == nil || !strings.Contains(o.Reason, "serves uwsgi now") {
		t.Errorf("another protocol: %+v, %v", o, err)
	}
}

// TestFiftyReloadsLeakNothing counts descriptors and looks for zombies while somebody
// asks all the time.
func TestFiftyReloadsLeakNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	i := start(t, Plan{Workers: 2, Sockets: []Socket{unixSocket(path)}})
	quiet := func(s stats.Snapshot) bool { return s.Ready == 2 && i.processes() == 2 }
	if _, err := i.Reload(t.Context()); err != nil { // whatever is opened once, is by now
		t.Fatal(err)
	}
	i.await("quiet", quiet)
	before, seen := descriptors(t), make(map[int]bool)
	reloads := 50
	if testing.Short() {
		reloads = 10
	}
	for range reloads {
		if _, err := i.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids(i.Snapshot()) {
			seen[pid] = true
		}
		i.checkSockets()
		ask(t, path)
	}
	s := i.await("quiet", quiet)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	for _, pid := range pids(s) {
		delete(seen, pid)
	}
	for pid := range seen {
		if !gone(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	if n := requests(s); n != uint64(reloads) {
		t.Errorf("%d requests are shown, want %d", n, reloads)
	}
}

// processes is how many there are at all, draining ones included.
func (i *instance) processes() (n int) {
	for _, w := range i.view.Load().workers {
		n += len(w.pages)
	}
	return n
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
