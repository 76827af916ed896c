package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNotWorker reports that no master started this process. server.Main takes it as
// "become the master".
var ErrNotWorker = errors.New("not started as a worker")

// Pair makes the two ends of a control socket. The worker's end is a plain blocking
// descriptor that knows nothing of Go's netpoller: calling Fd on it, as os/exec does,
// changes nothing. The caller closes it after the launch, or the worker's death would
// never show as an EOF.
func Pair() (master *Conn, workerEnd *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("make a control socket: %w", err)
	}
	conn, err := fileConn(fds[0], "master end")
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, nil, fmt.Errorf("make a control socket: %w", err)
	}
	return NewConn(conn), os.NewFile(uintptr(fds[1]), "control socket, worker end"), nil
}

// socketpair holds the fork lock because darwin has no SOCK_CLOEXEC: a worker that
// inherited its sibling's end would keep the master from ever seeing the sibling's EOF.
func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return fds, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds, nil
}

// fileConn hands fd to the netpoller and takes ownership of it.
func fileConn(fd int, name string) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() // net.FileConn works on a duplicate
	return net.FileConn(f)
}

// Adopt goes on with a conversation that another program had in this process before it
// executed this one: on its descriptor, which is taken over, from what it had not used yet.
func Adopt(fd int, rest []byte) (*Conn, error) {
	conn, err := fileConn(fd, "master end")
	if err != nil {
		return nil, fmt.Errorf("adopt a control socket: %w", err)
	}
	c := NewConn(conn)
	c.rest = rest
	return c, nil
}

// FD calls f with the descriptor of the connection.
func (c *Conn) FD(f func(fd int)) error {
	sc, ok := c.conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("a control connection over a %T has no descriptor", c.conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// Inherit is the worker's end of Pair: it answers ErrNotWorker when no master started
// this process, and removes EnvVar in any case. When the master speaks another version
// of the contract, the master is told so in a Failed before Inherit returns the error.
func Inherit() (*Conn, error) {
	value, ok := os.LookupEnv(EnvVar)
	if !ok {
		return nil, ErrNotWorker
	}
	if err := os.Unsetenv(EnvVar); err != nil {
		return nil, fmt.Errorf("remove %s: %w", EnvVar, err)
	}
	// The variable alone proves nothing. In a process that somebody started by hand
	// descriptor 3 may be the runtime's own epoll, which must not be closed.
	if !isKind(ConnFD, unix.S_IFSOCK) {
		return nil, fmt.Errorf("%s=%s, but descriptor %d is not a control socket: do not set %s by hand",
			EnvVar, value, ConnFD, EnvVar)
	}
	for fd := ConnFD; fd < FirstSocketFD; fd++ {
		unix.CloseOnExec(fd)
	}
	keepCrash()
	raw, err := fileConn(ConnFD, "control socket")
	if err != nil {
		return nil, fmt.Errorf("take over the control socket: %w", err)
	}
	conn := NewConn(raw)
	if value != strconv.Itoa(Version) {
		err := fmt.Errorf("the master speaks version %q of the worker contract, this program speaks version %d: stop and start instead of reloading",
			value, Version)
		return nil, errors.Join(err, conn.Send(Failed{Stage: "contract", Err: err.Error()}), conn.Close())
	}
	return conn, nil
}

// keepCrash has the Go runtime write what it prints at a crash to the master's file too. It
// comes first: whatever goes wrong after it leaves its words.
func keepCrash() {
	if !isKind(CrashFD, unix.S_IFREG) {
		return
	}
	f := os.NewFile(CrashFD, "crash output")
	defer f.Close()                                   // the runtime works on a duplicate
	_ = debug.SetCrashOutput(f, debug.CrashOptions{}) // without it a crash has its words in the log only
}

// TakeLog puts the log in the place of standard output and error, which the master has read
// so far.
//
// Trap: no os.File is made of it. Its Fd would clear O_NONBLOCK for everybody who writes
// that log.
func TakeLog() error {
	for _, std := range [...]int{1, 2} {
		fd := LogFD + std - 1
		if err := ReplaceFD(fd, std, false); err != nil {
			return fmt.Errorf("take over the log as descriptor %d: %w", std, err)
		}
		_ = unix.Close(fd)
	}
	return nil
}

// InheritScoreboard gives the descriptor of the shared page, for scoreboard.Open.
func InheritScoreboard() *os.File {
	return os.NewFile(ScoreboardFD, "scoreboard")
}

// CloseExecutable closes the pinned executable, which comes after n sockets. It has done
// its work when main runs, and would keep a replaced file's blocks on disk.
func CloseExecutable(n int) {
	// Only a regular file can be the executable: should a launcher have passed none, the
	// number may have been taken by the Go runtime.
	if fd := FirstSocketFD + n; isKind(fd, unix.S_IFREG) {
		_ = unix.Close(fd)
	}
}

// isKind reports whether fd is open on a file of this type, one of unix.S_IF*.
func isKind(fd int, want uint32) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && uint32(st.Mode)&unix.S_IFMT == want
}

// Environ is base as a worker may see it: nothing of systemd's, whose variables name the
// master's pid and descriptors, nothing of ours but the mark of a worker.
func Environ(base []string) []string {
	env := make([]string, 0, len(base)+1)
	for _, kv := range base {
		if name, _, _ := strings.Cut(kv, "="); !private(name) {
			env = append(env, kv)
		}
	}
	return append(env, EnvVar+"="+strconv.Itoa(Version))
}

func private(name string) bool {
	return name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "WATCHDOG_") ||
		strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "OSTLER_")
}
