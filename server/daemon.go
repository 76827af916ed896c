package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// daemonEnv marks the detached process. Its value is the descriptor on which
// the launching command waits for the outcome.
const daemonEnv = "OSTLER_DAEMON"

// daemonFD is where exec.Cmd puts the first extra file.
const daemonFD = 3

// lastWords bounds what the launching command repeats of a log.
const lastWords = 8 << 10

// outcome is the one message from the detached master to the command that
// launched it.
type outcome struct {
	PID   int    `json:"pid"`
	Code  int    `json:"code"`  // exit code of a start that failed
	Error string `json:"error"` // empty: serving
}

// failed is the outcome of a start that ended with err.
func failed(err error) outcome { return outcome{Code: exitCode(err), Error: err.Error()} }

// exitError is a failure that knows its exit code: of a detached process, of a
// reload that is refused. An empty text was printed already.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// detach runs this program again in its own session, with its output in output,
// and waits until it serves or has failed. uWSGI's daemonize returns at once and
// always says 0; here the exit code is the truth.
func detach(ctx context.Context, output string) (pid int, err error) {
	out, err := openAppend(output)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	outputSince := size(output)
	read, write, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("daemonize: %w", err)
	}
	defer read.Close()
	cmd, err := startDetached(out, write)
	write.Close()
	if err != nil {
		return 0, fmt.Errorf("daemonize: %w", err)
	}
	// An operator who gives up waiting does not want the start to go on.
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	var o outcome
	if err := json.NewDecoder(read).Decode(&o); err != nil {
		return 0, diedSilently(cmd, output, outputSince)
	}
	if o.Error != "" {
		_ = cmd.Wait()
		return 0, &exitError{code: o.Code, text: o.Error}
	}
	return o.PID, cmd.Process.Release()
}

func startDetached(log, status *os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", daemonEnv, daemonFD))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{status}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, cmd.Start()
}

// diedSilently reports a process that ended without a message: killed, or a
// panic before main. What it wrote since the launch says why.
func diedSilently(cmd *exec.Cmd, output string, since int64) error {
	err := cmd.Wait()
	code := exitRuntime
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		code = exit.ExitCode()
	}
	text := fmt.Sprintf("the daemon ended before it was ready (%v)", cmd.ProcessState)
	return &exitError{code: code, text: text + lastWordsIn(output, since)}
}

// lastWordsIn quotes the end of what was written to the log at path.
func lastWordsIn(path string, since int64) string {
	words := quoted(tail(path, since, lastWords))
	if words == "" {
		return ""
	}
	return "\nthe log " + path + ":" + words
}

// size is where a log ends; one that is not there yet begins at its beginning.
func size(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// daemonStatus is the detached master's end of the pipe. The zero value belongs
// to a process that nobody waits for.
type daemonStatus struct{ pipe *os.File }

// inDaemon finds the pipe that the launching command left, once.
func inDaemon() daemonStatus {
	if os.Getenv(daemonEnv) == "" {
		return daemonStatus{}
	}
	os.Unsetenv(daemonEnv)
	unix.CloseOnExec(daemonFD)
	return daemonStatus{pipe: os.NewFile(daemonFD, "daemon status")}
}

func (d daemonStatus) detached() bool { return d.pipe != nil }

// tell sends the outcome; whoever waited may be gone, which is no error here.
func (d daemonStatus) tell(o outcome) {
	if d.pipe == nil {
		return
	}
	_ = json.NewEncoder(d.pipe).Encode(o)
	_ = d.pipe.Close()
}
