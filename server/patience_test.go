package server

import (
	"context"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/master"
)

// patience is how long these tests wait before they call a hang a hang.
const patience = 30 * time.Second

// A TERM that comes while the work of a storm of other signals is behind is not
// dropped.
func TestStormOfSignalsDoesNotHideTerm(t *testing.T) {
	source := newSignalSource()
	defer source.end()
	signals := source.all
	seen := make(chan os.Signal, 64) // delivery is not at once: proves that each came
	signal.Notify(seen, syscall.SIGUSR2, syscall.SIGTERM)
	defer signal.Stop(seen)
	send := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-seen:
		case <-time.After(patience):
			t.Fatalf("%v was never delivered", s)
		}
	}
	for range 40 {
		send(syscall.SIGUSR2)
	}
	send(syscall.SIGTERM)
	for limit := time.After(patience); ; {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				return
			}
		case <-limit:
			t.Fatal("TERM was dropped")
		}
	}
}

// A log that is a pipe without a reader is refused: to wait for one would make a
// process that hears no signal.
func TestLogToPipeWithoutReaderIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		l, err := openLog(path, nil)
		if err == nil {
			err = l.close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "nobody reads") {
			t.Errorf("openLog: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("openLog waits for a reader")
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l, err := openLog(path, nil)
	if err != nil {
		t.Fatalf("with a reader: %v", err)
	}
	if _, err := l.Write([]byte("line\n")); err != nil {
		t.Errorf("with a reader: %v", err)
	}
	_ = l.close()
}

// status is what an operator asks first when something hangs, so it must not
// hang too.
func TestStatusOfMasterThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c")
	ln, err := net.Listen("unix", path) // the kernel takes the connection, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client := newCtlClient(path)
	client.patience = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := client.status(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") || ctx.Err() != nil {
		t.Errorf("status: %v", err)
	}
}

// With uid set a link in the place of a log is refused by its name, not by the
// kernel's words for a circle of links.
func TestLogThroughALinkIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if err := os.Symlink(filepath.Join(dir, "other"), path); err != nil {
		t.Fatal(err)
	}
	owner := &master.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if _, err := openLog(path, owner); err == nil || !strings.Contains(err.Error(), path+" is a symbolic link") {
		t.Errorf("openLog: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "other")); err == nil {
		t.Error("the link was followed")
	}
}
