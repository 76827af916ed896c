package control

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// childVar names the helper that a re-executed test binary becomes.
const childVar = "CONTROL_TEST_CHILD"

// deadline is for events that come within milliseconds on a healthy machine.
const deadline = 30 * time.Second

func TestMain(m *testing.M) {
	children := map[string]func() error{"worker": childWorker, "crash": childCrash, "inherit": childInherit, "words": childWords}
	if name, ok := os.LookupEnv(childVar); ok {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// facts is what a child finds out about itself and sends as Hello.Build.
type facts struct {
	Marked     bool   // EnvVar is still set
	Notify     string // NOTIFY_SOCKET
	ConnFD     bool   // descriptor 3 would reach a program started from here
	Scoreboard bool   // likewise 4
	Page       string // what 4 contains
}

// childWorker lives as a worker does: it answers each connection with its pid until Drain.
func childWorker() error {
	conn, err := Inherit()
	if err != nil {
		return err
	}
	if err := conn.Send(Hello{Version: Version, PID: os.Getpid(), Build: lookAround()}); err != nil {
		return err
	}
	m, err := conn.Recv()
	if err != nil {
		return err
	}
	setup := m.(Setup)
	var lns []net.Listener
	for i, s := range setup.Sockets {
		ln, err := InheritListener(i, s)
		if err != nil {
			return conn.Send(Failed{Stage: "setup", Err: err.Error()})
		}
		lns = append(lns, ln)
		go answer(ln)
	}
	CloseExecutable(len(setup.Sockets))
	if err := conn.Send(Ready{}); err != nil {
		return err
	}
	if _, err := conn.Recv(); err != nil {
		return nil // the master is gone
	}
	for _, ln := range lns {
		if err := ln.Close(); err != nil { // hangs when O_NONBLOCK was lost
			return err
		}
	}
	if err := conn.Send(Retire{Reason: executableLeft(setup)}); err != nil {
		return err
	}
	_, _ = conn.Recv() // until the master closes
	return nil
}

// childCrash dies the way a new program with a bad start does: before it touches the
// descriptors it was given.
func childCrash() error {
	os.Exit(7)
	return nil
}

// childWords says something at each stage of its life, and panics.
func childWords() error {
	fmt.Fprintln(os.Stderr, "in init")
	if _, err := Inherit(); err != nil {
		return err
	}
	fmt.Println("in New")
	if err := TakeLog(); err != nil {
		return err
	}
	fmt.Println("to standard output")
	fmt.Fprintln(os.Stderr, "to standard error")
	panic("its last words")
}

// childInherit prints what Inherit says.
func childInherit() error {
	_, err := Inherit()
	fmt.Printf("%v; marked=%v\n", err, os.Getenv(EnvVar) != "")
	return nil
}

func lookAround() string {
	_, marked := os.LookupEnv(EnvVar)
	leaks := func(fd int) bool {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil && flags&unix.FD_CLOEXEC == 0
	}
	f := facts{Marked: marked, Notify: os.Getenv("NOTIFY_SOCKET"), ConnFD: leaks(ConnFD), Scoreboard: leaks(ScoreboardFD)}
	board := InheritScoreboard()
	defer board.Close()
	page := make([]byte, 32)
	n, _ := board.ReadAt(page, 0)
	f.Page = string(page[:n])
	text, _ := json.Marshal(f)
	return string(text)
}

// executableLeft names a regular file that is still open where the executable was.
func executableLeft(s Setup) string {
	if isKind(FirstSocketFD+len(s.Sockets), unix.S_IFREG) {
		return "the executable is still open"
	}
	return "closed"
}

func answer(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(c, "%d", os.Getpid())
		_ = c.Close()
	}
}

// child is a helper process seen from its parent.
type child struct {
	t    *testing.T
	conn *Conn
	pid  int
}

// outlets are where a child prints.
type outlets struct{ born, crash, out, err *os.File }

// spoken gives a child files to print to, so that each can be read.
func spoken(t *testing.T) outlets {
	return outlets{born: tempFile(t, ""), crash: tempFile(t, ""), out: tempFile(t, ""), err: tempFile(t, "")}
}

// spawn starts the test binary as the launcher does: raw descriptors through ForkExec.
func spawn(t *testing.T, helper string, version string, socketFDs ...int) *child {
	t.Helper()
	return spawnTo(t, outlets{born: os.Stderr, crash: tempFile(t, ""), out: os.Stdout, err: os.Stderr}, helper, version, socketFDs...)
}

func spawnTo(t *testing.T, to outlets, helper string, version string, socketFDs ...int) *child {
	t.Helper()
	conn, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	board, exe := tempFile(t, "page of this worker"), openSelf(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := []uintptr{null.Fd(), to.born.Fd(), to.born.Fd(), end.Fd(), board.Fd(), to.crash.Fd(), to.out.Fd(), to.err.Fd()}
	for _, fd := range socketFDs {
		files = append(files, uintptr(fd))
	}
	env := Environ(append(os.Environ(), "NOTIFY_SOCKET=/run/x", childVar+"="+helper))
	if version != "" {
		env[len(env)-1] = EnvVar + "=" + version
	}
	pid, err := syscall.ForkExec(exe.Name(), []string{"worker"}, &syscall.ProcAttr{Env: env, Files: append(files, exe.Fd())})
	for _, f := range []*os.File{end, board, exe, null} {
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, conn: conn, pid: pid}
	t.Cleanup(c.end)
	return c
}

func (c *child) end() {
	_ = c.conn.Close()
	if c.pid != 0 {
		_ = syscall.Kill(c.pid, syscall.SIGKILL)
		c.wait()
	}
}

// stop returns when the process is stopped: the signal alone takes effect some time.
func (c *child) stop() {
	c.t.Helper()
	if err := syscall.Kill(c.pid, syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(c.pid, &ws, syscall.WUNTRACED, nil); err != syscall.EINTR {
			break
		}
	}
	if !ws.Stopped() {
		c.t.Fatalf("it was to be stopped, its status is %#x", ws)
	}
}

func (c *child) wait() syscall.WaitStatus {
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(c.pid, &ws, 0, nil); err != syscall.EINTR {
			c.pid = 0
			return ws
		}
	}
}

// recv is the child's next message, of the type asked for.
func recv[M Message](c *child) M {
	c.t.Helper()
	if err := c.conn.conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		c.t.Fatal(err)
	}
	m, err := c.conn.Recv()
	if err != nil {
		c.t.Fatalf("want %T: %v", *new(M), err)
	}
	got, ok := m.(M)
	if !ok {
		c.t.Fatalf("received %#v, want %T", m, *new(M))
	}
	return got
}

func (c *child) send(m Message) {
	c.t.Helper()
	if err := c.conn.Send(m); err != nil {
		c.t.Fatal(err)
	}
}

// boot brings a worker to Ready.
func (c *child) boot(sockets ...Socket) facts {
	c.t.Helper()
	var f facts
	if err := json.Unmarshal([]byte(recv[Hello](c).Build), &f); err != nil {
		c.t.Fatal(err)
	}
	c.send(Setup{Slot: 1, Generation: 1, Sockets: sockets, Config: json.RawMessage(`{}`)})
	recv[Ready](c)
	return f
}

func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "page")
	if err == nil {
		_, err = f.WriteString(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openSelf(t *testing.T) *os.File {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// whoAnswers connects once.
func whoAnswers(t *testing.T, network, addr string) string {
	t.Helper()
	c, err := net.DialTimeout(network, addr, deadline)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	buf := make([]byte, 32)
	for {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}
