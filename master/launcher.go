package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// Spec is what a process is launched with.
type Spec struct {
	Slot       int
	Generation int
	Share      control.Share // of the machine
	Affinity   int           // CPUs that the process is bound to; zero: those of its master
	Threads    int
	Apps       int // that the worker counts for

	Sockets    []int // raw descriptors, in the order of Setup
	Stdio      [2]*os.File
	Env        []string
	Dir        string
	Credential *Credential
}

// Launcher starts the processes of one generation, all from the same program. Launch may
// be called from several goroutines.
type Launcher interface {
	Launch(Spec) (Process, error)
	Close() error
}

// Process is a launched worker. Signal and Wait act on this very process, never on
// another one that was given its number. Wait, Words, Reap and Close are called once each, in this
// order.
type Process interface {
	PID() int
	Conn() *control.Conn
	Page() *scoreboard.Page
	Signal(os.Signal) error

	Wait() // returns when it has ended; its number stays taken until Reap
	Words() Words
	Reap() Exit
	Close() error // gives up the connection
}

// Words are what a process left that can tell why it ended.
type Words struct {
	Crash   string // what the Go runtime printed
	Printed string // the end of what it printed before it was ready
}

// Exit is how a process ended. The zero Exit is a plain success.
type Exit struct {
	Code   int            // -1 if it was killed
	Signal syscall.Signal // zero if it exited by itself
	Core   bool
	Err    error // it could not be waited for

	MaxRSS uint64 // bytes, the most it ever had; zero where nobody knows
}

func (e Exit) String() string {
	switch {
	case e.Err != nil:
		return "was lost: " + e.Err.Error()
	case e.Signal != 0 && e.Core:
		return fmt.Sprintf("was killed by signal %d (%s), core dumped", int(e.Signal), e.Signal)
	case e.Signal != 0:
		return fmt.Sprintf("was killed by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("exited with status %d", e.Code)
}

// PinExecutable returns the launcher of the program that is at path now. Where the
// system allows, the file itself is held: a worker that is started an hour later runs
// the same program as its siblings, whatever is at path by then. args are the worker's
// arguments after its name.
func PinExecutable(path string, args []string) (*Executable, error) {
	pin, err := newPin(path)
	if err != nil {
		return nil, fmt.Errorf("pin the executable: %w", err)
	}
	return &Executable{name: filepath.Base(path), args: args, pin: pin}, nil
}

// Executable is the real Launcher.
type Executable struct {
	name string
	args []string
	pin  pin
}

// Path is where a child of this process finds the program, for os/exec.
func (x *Executable) Path() string { return x.pin.path() }

// Close lets go of the program's file.
func (x *Executable) Close() error { return x.pin.close() }

// Launch forks and executes.
//
// Trap: everything goes by raw descriptor numbers. os/exec and os.StartProcess call Fd
// on what they pass, which for a listener clears O_NONBLOCK on the open file description
// that all running workers share.
func (x *Executable) Launch(s Spec) (Process, error) {
	c := &child{}
	in, err := c.prepare(s)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	pid, err := x.fork(s, in)
	in.close()
	if err != nil {
		return nil, errors.Join(s.explain(x.name, err), c.Close())
	}
	// Nobody else waits for our children, so the number still means this process.
	if c.proc, err = os.FindProcess(pid); err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		return nil, errors.Join(fmt.Errorf("launch %s: %w", x.name, err), c.Close())
	}
	return c, nil
}

// prepare makes what connects a process with us, and gives its ends of it.
func (c *child) prepare(s Spec) (in inherited, err error) {
	if c.page, c.board, err = scoreboard.Create(s.Threads, s.Apps); err != nil {
		return in, err
	}
	if c.crash, err = scoreboard.Nameless("ostler-crash"); err != nil {
		return in, err
	}
	if c.birth, in.printed, err = newBirth(s.Stdio); err != nil {
		return in, err
	}
	in.board, in.crash = c.board, c.crash
	c.conn, in.conn, err = control.Pair()
	if err != nil {
		in.close()
	}
	return in, err
}

// Close gives up what connects us with a process.
func (c *child) Close() error {
	closeAll([]*os.File{c.board, c.crash})
	if c.birth != nil {
		c.birth.close()
	}
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// inherited is what a process is given at its birth besides the log and the sockets.
type inherited struct {
	printed      [2]*os.File // its standard output and error, read by us
	conn         *os.File
	board, crash *os.File // ours too
}

// close is for when the process has them, or never will.
func (in inherited) close() { closeAll([]*os.File{in.printed[0], in.printed[1], in.conn}) }

// explain names the folder too: one that was removed gives the same error as a program
// that is not there.
func (s Spec) explain(program string, err error) error {
	if s.Dir == "" {
		return fmt.Errorf("launch %s: %w", program, err)
	}
	return fmt.Errorf("launch %s in %s: %w", program, s.Dir, err)
}

// fork places the descriptors of the contract: 0 to 7, the sockets, the pinned program.
// Position is number: the child has nothing else, since all others close on exec.
func (x *Executable) fork(s Spec, in inherited) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	var fds rawFDs
	for _, f := range [...]*os.File{
		null, in.printed[0], in.printed[1], in.conn, in.board, in.crash, s.Stdio[0], s.Stdio[1],
	} {
		fds.file(f)
	}
	for _, fd := range s.Sockets {
		fds.list = append(fds.list, uintptr(fd))
	}
	path := x.pin.place(&fds)
	if fds.err != nil {
		return 0, fds.err
	}
	argv := append([]string{fmt.Sprintf("%s: worker %d", x.name, s.Slot)}, x.args...)
	return boundTo(s.Affinity, s.Slot, func() (int, error) {
		return syscall.ForkExec(path, argv, &syscall.ProcAttr{
			Dir:   s.Dir,
			Env:   environ(s),
			Files: fds.list,
			Sys:   attributes(s.Credential),
		})
	})
}

// environ adds the worker's share of the machine. What the operator set is not in it.
func environ(s Spec) []string {
	env := control.Environ(s.Env)
	if s.Share.Procs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(s.Share.Procs))
	}
	if s.Share.Memory > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatUint(s.Share.Memory, 10))
	}
	return env
}

// attributes: a group of its own, because a ^C in the terminal is the master's business.
func attributes(c *Credential) *syscall.SysProcAttr {
	sys := &syscall.SysProcAttr{Setpgid: true}
	if c != nil {
		sys.Credential = &syscall.Credential{Uid: c.Uid, Gid: c.Gid, Groups: c.Groups}
	}
	return sys
}

// rawFDs collects descriptor numbers without disturbing their files.
type rawFDs struct {
	list []uintptr
	err  error
}

// number adds a file and says which number it has.
func (r *rawFDs) number(f *os.File) int {
	r.file(f)
	if r.err != nil {
		return -1
	}
	return int(r.list[len(r.list)-1])
}

func (r *rawFDs) file(f *os.File) {
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { r.list = append(r.list, fd) })
	}
	r.err = errors.Join(r.err, err)
}

// child is the real Process.
type child struct {
	proc  *os.Process
	conn  *control.Conn
	page  *scoreboard.Page
	birth *birth
	crash *os.File
	board *os.File // page, for a program that takes our place

	reaped *Exit // nil unless Wait had to reap it
}

func (c *child) PID() int                 { return c.proc.Pid }
func (c *child) Conn() *control.Conn      { return c.conn }
func (c *child) Page() *scoreboard.Page   { return c.page }
func (c *child) Signal(s os.Signal) error { return c.proc.Signal(s) }

func (c *child) Words() Words {
	return Words{Printed: strings.TrimSpace(c.birth.words()), Crash: strings.TrimSpace(crashWords(c.crash))}
}

func (c *child) Reap() Exit {
	if c.reaped != nil {
		return *c.reaped
	}
	return c.reap()
}

// reap is waitpid.
func (c *child) reap() Exit {
	state, err := c.proc.Wait()
	if err != nil {
		return Exit{Code: -1, Err: err}
	}
	exit := Exit{Code: state.ExitCode()}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		exit.Signal, exit.Core = ws.Signal(), ws.CoreDump()
	}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		exit.MaxRSS = maxRSS(usage)
	}
	return exit
}

// maxRSS is in bytes; ru_maxrss is in KiB, but on darwin.
func maxRSS(u *syscall.Rusage) uint64 {
	if runtime.GOOS == "darwin" {
		return uint64(u.Maxrss)
	}
	return uint64(u.Maxrss) << 10
}
