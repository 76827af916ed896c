package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

// maxAnswer bounds what is read from a program that may be anything.
const maxAnswer = 4 << 20

// errand is a question to a program: it is run, answers on standard output, and ends.
type errand struct {
	path  string // of the file that is executed
	argv  []string
	env   []string   // besides this process's own, without what concerns a worker
	files []*os.File // its descriptors from 3 on
}

// run gives the answer, and the words that the program had besides it, on standard
// error. ctx bounds how long it may think.
func (e errand) run(ctx context.Context) (answer, words string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, e.path, e.argv[1:]...)
	cmd.Args[0] = e.argv[0]
	cmd.Env = append(without(control.Environ(os.Environ()), control.EnvVar), e.env...)
	cmd.Stdout = &limitedBuffer{buf: &out, left: maxAnswer}
	cmd.Stderr = &limitedBuffer{buf: &errs, left: lastWords}
	cmd.ExtraFiles = e.files
	// What the program leaves running may hold our pipes for ever. It is not waited
	// for, and killed with it when it takes too long.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	}
	return out.String(), strings.TrimSpace(errs.String()), err
}

// limitedBuffer keeps the first bytes and swallows the rest.
type limitedBuffer struct {
	buf  *bytes.Buffer
	left int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.buf.Write(p[:n])
	return len(p), nil
}
