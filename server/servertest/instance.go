package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
)

// patience is how long an event may take before the test fails.
const patience = 60 * time.Second

// Instance is one running server: a master in this process (Start) or in its
// own (Launch), with worker processes in both cases.
type Instance struct {
	Dir    string // of this instance alone; $DIR in the configuration
	Config string // path of the TOML file

	t       testing.TB
	signal  func(os.Signal)
	pid     int           // of the master
	ended   chan struct{} // closed at its end
	err     error         // of Run, or of the process; valid after ended
	stopped sync.Once
}

// Start runs a master in this process, under the race detector with the test,
// and returns when every worker accepts.
func Start(t testing.TB, toml string, apps ...server.App) *Instance {
	t.Helper()
	i := prepare(t, toml)
	signals := make(chan os.Signal, 16)
	ready := make(chan int, 1)
	i.signal = func(s os.Signal) { signals <- s }
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(i.ended)
		i.err = server.Run(ctx, server.Options{
			Config: i.Config, Apps: apps, Signals: signals, Ready: func(pid int) { ready <- pid },
		})
	}()
	t.Cleanup(func() {
		i.Stop()
		cancel()
	})
	select {
	case i.pid = <-ready:
	case <-i.ended:
		t.Fatalf("server did not start: %v\n%s", i.err, i.Log())
	case <-time.After(patience):
		t.Fatalf("server is not ready\n%s", i.Log())
	}
	return i
}

// Launch runs a master as a process of its own and returns when every worker
// accepts.
func Launch(t testing.TB, toml string) *Instance {
	t.Helper()
	return LaunchAs(t, toml, Process{})
}

// Process says how a master is launched.
type Process struct {
	Program string   // path of a copy of this test binary; empty: this test binary
	Output  *os.File // standard output and error; nil: the test's standard error
	Env     []string // what it has beside the test's environment

	Credential *syscall.Credential // whom it runs as; nil: as the test does, and only root may choose
}

// LaunchAs is Launch of a particular process.
func LaunchAs(t testing.TB, toml string, p Process) *Instance {
	t.Helper()
	i := prepare(t, toml)
	i.launch(p)
	return i
}

// Again launches a master after the end of the one before, on the same configuration, and
// returns when every worker accepts.
func (i *Instance) Again(p Process) {
	i.t.Helper()
	_ = i.Wait()
	i.ended, i.stopped = make(chan struct{}), sync.Once{}
	i.launch(p)
}

func (i *Instance) launch(p Process) {
	i.t.Helper()
	if p.Program == "" {
		p.Program = os.Args[0]
	}
	if p.Output == nil {
		p.Output = os.Stderr
	}
	cmd := exec.Command(p.Program, "--config", i.Config)
	cmd.Stderr, cmd.Stdout = p.Output, p.Output
	cmd.Env = append(os.Environ(), p.Env...)
	if c := p.Credential; c != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
		if err := os.Chown(i.Dir, int(c.Uid), int(c.Gid)); err != nil {
			i.t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		i.t.Fatalf("launch master: %v", err)
	}
	i.pid = cmd.Process.Pid
	i.signal = func(s os.Signal) { _ = cmd.Process.Signal(s) }
	go func(ended chan struct{}) {
		defer close(ended)
		i.err = cmd.Wait()
	}(i.ended)
	i.t.Cleanup(i.Stop)
	// It is there from the beginning, locked, and gets the number when workers accept.
	number := strconv.Itoa(i.pid) + "\n"
	i.Until("the pidfile is written", func() bool { return i.Read("pid") == number || i.Ended() })
	if i.Ended() {
		i.t.Fatalf("server did not start: %v\n%s", i.err, i.Log())
	}
}

// prepare writes the configuration. Keys every test needs are added where the
// test does not set them.
func prepare(t testing.TB, toml string) *Instance {
	t.Helper()
	dir := Dir(t)
	keys := map[string]string{
		"pidfile": "$DIR/pid", "stats": "$DIR/stats", "logto": "$DIR/log", "req-logger": "$DIR/access",
	}
	if !strings.Contains(toml, "master = false") {
		keys["reload-probation"] = "0s" // a test that is not about it need not wait for it
	}
	for key, value := range keys {
		if !strings.Contains("\n"+toml, "\n"+key+" ") {
			toml = fmt.Sprintf("%s = %q\n%s", key, value, toml)
		}
	}
	i := &Instance{Dir: dir, Config: filepath.Join(dir, "app.toml"), t: t, ended: make(chan struct{})}
	i.Write(toml)
	return i
}

// Write replaces the configuration file; $DIR stands for the instance's folder.
func (i *Instance) Write(toml string) {
	i.t.Helper()
	if err := os.WriteFile(i.Config, []byte(strings.ReplaceAll(toml, "$DIR", i.Dir)), 0o644); err != nil {
		i.t.Fatal(err)
	}
}

// Dir is a fresh folder with a name short enough for unix sockets, which
// t.TempDir's names are not.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Port is a TCP port of the loopback that was free a moment ago.
func Port(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// PID is the master's.
func (i *Instance) PID() int { return i.pid }

// Signal acts as if the master had got s.
func (i *Instance) Signal(s os.Signal) { i.signal(s) }

// Ended reports whether the master is gone.
func (i *Instance) Ended() bool {
	select {
	case <-i.ended:
		return true
	default:
		return false
	}
}

// Wait waits for the master's end and returns how it ended: what Run returned,
// or an *exec.ExitError.
func (i *Instance) Wait() error {
	i.t.Helper()
	select {
	case <-i.ended:
	case <-time.After(patience):
		i.t.Fatalf("the master does not end\n%s", i.Log())
	}
	return i.err
}

// Stop ends the instance at once and checks that no worker is left. Tests that
// are about stopping do it themselves; for the others it is the cleanup.
func (i *Instance) Stop() {
	i.stopped.Do(func() {
		workers := i.workerPIDs()
		if !i.Ended() {
			i.signal(syscall.SIGQUIT)
		}
		_ = i.Wait()
		for _, pid := range workers {
			i.Until(fmt.Sprintf("worker %d is gone", pid), func() bool { return !Alive(pid) })
		}
	})
}

func (i *Instance) workerPIDs() []int {
	if i.Ended() {
		return nil
	}
	var pids []int
	if s, err := i.fetch(); err == nil {
		for _, w := range s.Workers {
			pids = append(pids, w.PID)
		}
	}
	return pids
}

// Alive reports whether pid is a process that is not a zombie.
func Alive(pid int) bool {
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == nil
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(after, []byte("Z"))
}

// lookEvery is how often a test looks. A look at the stats takes both sides milliseconds, with
// the race detector.
const lookEvery = 20 * time.Millisecond

// Until waits for an event that can only be seen by looking.
func (i *Instance) Until(what string, seen func() bool) {
	i.t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !seen(); <-tick.C {
		if time.Now().After(end) {
			i.t.Fatalf("waited in vain: %s\n%s", what, i.Log())
		}
	}
}

// Stats asks the stats address.
func (i *Instance) Stats() stats.Snapshot {
	i.t.Helper()
	s, err := i.fetch()
	if err != nil {
		i.t.Fatalf("stats: %v\n%s", err, i.Log())
	}
	return s
}

func (i *Instance) fetch() (stats.Snapshot, error) {
	ctx, cancel := deadline(context.Background())
	defer cancel()
	return stats.Fetch(ctx, filepath.Join(i.Dir, "stats"))
}

// WaitFor waits for a state of the server, as its stats show it.
func (i *Instance) WaitFor(what string, seen func(stats.Snapshot) bool) stats.Snapshot {
	i.t.Helper()
	var last stats.Snapshot
	i.Until(what, func() bool {
		s, err := i.fetch()
		last = s
		return err == nil && seen(s)
	})
	return last
}

// Log is the text of the master's and the workers' log so far.
func (i *Instance) Log() string { return i.Read("log") }

// Read returns a file of the instance's folder, "" if it is not there.
func (i *Instance) Read(name string) string {
	b, _ := os.ReadFile(filepath.Join(i.Dir, name))
	return string(b)
}

// HTTP is a client of the http socket at path below Dir (or an absolute
// address "host:port"). It never retries a request that has a body.
func (i *Instance) HTTP(addr string) *http.Client {
	tr := &http.Transport{DialContext: i.dialer(addr), MaxIdleConnsPerHost: 256}
	i.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// UWSGI is a client of the uwsgi socket at addr.
func (i *Instance) UWSGI(addr string) *uwsgi.Client {
	network, addr := i.resolve(addr)
	return &uwsgi.Client{Network: network, Addr: addr}
}

func (i *Instance) dialer(addr string) func(context.Context, string, string) (net.Conn, error) {
	network, addr := i.resolve(addr)
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func (i *Instance) resolve(addr string) (network, address string) {
	if strings.Contains(addr, ":") {
		return "tcp", addr
	}
	if strings.HasPrefix(addr, "@") {
		return "unix", addr
	}
	return "unix", filepath.Join(i.Dir, addr)
}

// Command runs this test binary as the application's program and returns what
// it printed and its exit code.
func (i *Instance) Command(args ...string) (output string, code int) {
	i.t.Helper()
	return Command(i.t, append(args, "--config", i.Config)...)
}

// Command is Instance.Command without a configuration.
func Command(t testing.TB, args ...string) (output string, code int) {
	t.Helper()
	return run(t, os.Args[0], args...)
}

func run(t testing.TB, program string, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := deadline(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
