package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed17661985/ostler/worker/control"
)

// A master that executes another program in its place is deaf for a moment: from the
// execution until the new program has called signal.Notify, a HUP or a TERM would end the
// process, with all it holds. To hold signals back is of no use, for Go's runtime lets
// through at its start those that can end a program. So another process, the keeper, keeps
// them meanwhile: it traces the master as a debugger does, sees each signal before it is
// delivered, and sends again what came when the new program listens.
//
//	master ── starts ──▶ keeper        attaches to every thread of the master
//	       ◀─ attached ─
//	execution            ◀── TERM      noted, not delivered
//	new program ─ EOF ─▶ keeper ── TERM ──▶ new program, and the keeper ends
const keeperEnv = "OSTLER_KEEPER"

// The keeper's descriptors.
const (
	keeperListens = 3 // its end: nobody needs the keeper any more
	keeperTells   = 4 // a byte: it is attached; otherwise words, why not
)

// keeperLimit is how long it may take to attach.
const keeperLimit = 5 * time.Second

// Keeper keeps the signals of this process.
type Keeper struct {
	PID  int
	wire *os.File // the keeper works until all copies of it are closed
}

// KeepSignals starts a keeper. From its return until Release no signal that a master
// listens to is delivered, and none is lost.
func KeepSignals() (*Keeper, error) {
	k, err := startKeeper()
	if err != nil {
		return nil, fmt.Errorf("keep the signals: %w", err)
	}
	return k, nil
}

func startKeeper() (*Keeper, error) {
	listen, wire, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer listen.Close()
	heard, tell, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, wire.Close())
	}
	defer heard.Close()
	var fds rawFDs
	for _, f := range [...]*os.File{os.Stdin, os.Stdout, os.Stderr, listen, tell} {
		fds.file(f)
	}
	k := &Keeper{wire: wire}
	if err = fds.err; err == nil {
		k.PID, err = syscall.ForkExec("/proc/self/exe", []string{os.Args[0] + ": keeps signals"}, &syscall.ProcAttr{
			Env: append(control.Environ(os.Environ()), keeperEnv+"="+strconv.Itoa(os.Getpid())), Files: fds.list,
			Sys: &syscall.SysProcAttr{Setpgid: true}, // a ^C in the terminal is for the master
		})
	}
	_ = tell.Close()
	if err != nil {
		return nil, errors.Join(err, wire.Close())
	}
	if err := k.await(heard); err != nil {
		k.Release()
		return nil, err
	}
	return k, nil
}

// await lets the keeper attach, and waits until it has.
func (k *Keeper) await(heard *os.File) error {
	// Where Yama lets only parents trace, the traced has to name its tracer.
	_ = unix.Prctl(unix.PR_SET_PTRACER, uintptr(k.PID), 0, 0, 0)
	_ = heard.SetReadDeadline(time.Now().Add(keeperLimit))
	words, err := io.ReadAll(io.LimitReader(heard, 4<<10))
	switch {
	case len(words) == 1:
		return nil
	case len(words) > 1:
		return errors.New(string(words))
	case err != nil:
		return err
	}
	return errors.New("the keeper ended")
}

// Release has the signals that came sent again, and waits for the keeper to end.
func (k *Keeper) Release() {
	_ = k.wire.Close()
	ReapKeeper(k.PID)
}

// FD is the descriptor to leave open for the next program, which ends the keeper by closing
// it.
func (k *Keeper) FD() int {
	var fds rawFDs
	return fds.number(k.wire)
}

// ReapKeeper waits for a keeper that was told to end.
func ReapKeeper(pid int) {
	_ = unix.Prctl(unix.PR_SET_PTRACER, 0, 0, 0, 0)
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// IsKeeper reports whether this process is to be a keeper.
func IsKeeper() bool {
	_, ok := os.LookupEnv(keeperEnv)
	return ok
}

// RunKeeper is the whole life of a keeper.
func RunKeeper() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP) // some tell a whole group to end
	runtime.LockOSThread()                                         // only the thread that attached may ask for what it sees
	tell := os.NewFile(keeperTells, "")
	pid, err := strconv.Atoi(os.Getenv(keeperEnv))
	os.Unsetenv(keeperEnv)
	if err == nil && pid != os.Getppid() {
		err = fmt.Errorf("%d is not its parent: do not set %s by hand", pid, keeperEnv)
	}
	t := &tracer{pid: pid}
	if err == nil {
		err = t.attach()
	}
	if err != nil {
		fmt.Fprintf(tell, "the process cannot be traced: %v", err)
		return
	}
	_, _ = tell.Write([]byte{'.'})
	_ = tell.Close()
	go t.awaitRelease(os.NewFile(keeperListens, ""))
	t.watch()
	t.sendAgain()
}

// tracer sees what is delivered to a process.
type tracer struct {
	pid  int         // fixed
	over atomic.Bool // signals are to be delivered again

	// Owned by the goroutine that attached.
	leaving bool // every thread that stops is let go for good
	kept    []syscall.Signal
}

// attach goes on until no thread is left out: while it does others may begin. Those that
// begin later are attached by the kernel.
func (t *tracer) attach() error {
	seized := make(map[int]bool)
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.pid))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || seized[tid] {
				continue
			}
			err = ptrace(unix.PTRACE_SEIZE, tid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEEXEC)
			if err == unix.ESRCH || err == unix.EPERM && len(seized) > 0 { // it has ended, or came attached
				err = nil
			}
			if err != nil {
				return err
			}
			seized[tid], found = true, true
		}
	}
	return nil
}

// watch answers every stop of every thread until none is left: the process is gone, or all
// were let go.
//
// Trap: a tracer that just exits takes with it the signal of a thread whose stop it was told
// and has not answered.
func (t *tracer) watch() {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		if err != nil && err != syscall.EINTR {
			return
		}
		if t.over.Load() && !t.leaving {
			t.leaving = true
			t.stopAll()
		}
		if err == nil && status.Stopped() {
			t.goOn(tid, status)
		}
	}
}

// stopAll has every thread stop once more, to be let go. Those that begin meanwhile stop by
// themselves.
func (t *tracer) stopAll() {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.pid)) // else the process is gone
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = ptrace(unix.PTRACE_INTERRUPT, tid, 0) // an error means that it has ended
		}
	}
}

// goOn lets a thread go on, with the signal it is about to get or without. An error means
// that it has ended.
func (t *tracer) goOn(tid int, status syscall.WaitStatus) {
	sig, what := status.StopSignal(), int(status)>>16
	if what != 0 || t.keep(sig) {
		sig = 0
	}
	switch {
	case t.leaving: // who was stopped by somebody stays so
		_ = ptrace(unix.PTRACE_DETACH, tid, int(sig))
	case what == unix.PTRACE_EVENT_STOP && status.StopSignal() != syscall.SIGTRAP: // likewise
		_ = ptrace(unix.PTRACE_LISTEN, tid, 0)
	default:
		_ = ptrace(unix.PTRACE_CONT, tid, int(sig))
	}
}

// keep notes a signal that would be lost on a program that does not listen yet.
func (t *tracer) keep(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU:
	default:
		return false
	}
	if !t.leaving {
		t.kept = append(t.kept, sig)
	}
	return !t.leaving
}

// awaitRelease waits until everybody has closed the wire. Only the thread that attached can
// detach, and it is waiting: a signal that means nothing to a Go program stops one of its
// threads, which wakes it.
func (t *tracer) awaitRelease(wire *os.File) {
	_, _ = io.Copy(io.Discard, wire)
	t.over.Store(true)
	_ = syscall.Kill(t.pid, syscall.SIGURG)
}

// sendAgain sends what was kept to a process that nobody traces any more.
func (t *tracer) sendAgain() {
	for _, sig := range t.kept {
		if os.Getppid() != t.pid {
			return // it has ended
		}
		_ = syscall.Kill(t.pid, sig) // the same signal twice may become one, as ever
	}
}

func ptrace(request, tid, data int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
