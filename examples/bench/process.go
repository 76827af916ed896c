//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a server may take to answer first, or to end.
const patience = 30 * time.Second

// process is a server that the benchmark started, with all its children.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // path of its output
	done chan struct{} // closed when it has ended
}

// launch starts a server with its output in dir/name.log.
func launch(dir, name string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), env...)
	// Not even a killed benchmark leaves servers behind that spoil the next one. The signal
	// comes when the starting thread ends, see main.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // whoever expected it to live reads the log
	}()
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// until calls attempt until it succeeds, the process ends or patience does.
func (p *process) until(ctx context.Context, attempt func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.Join(err, p.ended())
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w; its last words:\n%s", p.name, errors.Join(err, ctx.Err()), p.tail())
		case <-again.C:
		}
	}
}

// ended is nil while the process lives, and else says how it ended and what it said.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%v); its last words:\n%s", p.name, p.cmd.ProcessState, p.tail())
	default:
		return nil
	}
}

// tail is the end of what the process wrote.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\t" + strings.Join(lines[max(0, len(lines)-15):], "\n\t")
}
