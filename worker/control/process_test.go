package control

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// shared is a listener as the master keeps it: a raw descriptor, nothing in the netpoller.
func shared(t *testing.T, network, addr string) (fd int, name string) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	name = ln.Addr().String()
	if fd, err = DupListener(ln); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return fd, name
}

func assertNonblock(t *testing.T, when string, fds ...int) {
	t.Helper()
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			t.Fatal(err)
		}
		if flags&unix.O_NONBLOCK == 0 {
			t.Fatalf("%s: O_NONBLOCK is lost on descriptor %d, in every worker at once", when, fd)
		}
	}
}

func TestSharedListenersStayNonblocking(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	tcp, tcpName := shared(t, "tcp", "127.0.0.1:0")
	uds, udsName := shared(t, "unix", path)
	sockets := []Socket{{Name: tcpName, Proto: "http"}, {Name: udsName, Proto: "uwsgi"}}
	assertNonblock(t, "after DupListener", tcp, uds)

	var workers []*child
	for range 3 {
		w := spawn(t, "worker", "", tcp, uds)
		assertNonblock(t, "after a spawn", tcp, uds)
		w.boot(sockets...)
		assertNonblock(t, "after a worker became ready", tcp, uds)
		workers = append(workers, w)
	}
	crash := spawn(t, "crash", "", tcp, uds)
	if ws := crash.wait(); ws.ExitStatus() != 7 {
		t.Fatalf("the crashing child ended with %v", ws)
	}
	assertNonblock(t, "after a worker crashed before it took its sockets", tcp, uds)

	// Respawn worker 1, then drain worker 2: its Close would hang in a blocking accept.
	workers[0].end()
	spawn(t, "worker", "", tcp, uds).boot(sockets...)
	for _, w := range workers[1:] {
		w.send(Drain{})
		if got := recv[Retire](w).Reason; got != "closed" {
			t.Errorf("after closing its listeners the worker says %q", got)
		}
	}
	assertNonblock(t, "after a respawn and two drains", tcp, uds)
}

func TestAClosedListenerLeavesTheOthersAccepting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			addr := map[string]string{"tcp": "127.0.0.1:0", "unix": path}[network]
			fd, name := shared(t, network, addr)
			stays, goes := spawn(t, "worker", "", fd), spawn(t, "worker", "", fd)
			stays.boot(Socket{Name: name, Proto: "http"})
			goes.boot(Socket{Name: name, Proto: "http"})
			goes.send(Drain{})
			recv[Retire](goes)
			for range 20 {
				if got, want := whoAnswers(t, network, name), strconv.Itoa(stays.pid); got != want {
					t.Fatalf("answered by %q, want %s", got, want)
				}
			}
		})
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the path of the unix socket went with a listener: %v", err)
	}
}

func TestAWorkerIsBornClean(t *testing.T) {
	w := spawn(t, "worker", "")
	got, want := w.boot(), facts{Page: "page of this worker"}
	if got != want {
		t.Errorf("the worker sees %+v, want %+v", got, want)
	}
}

func TestAMissingSocketIsReported(t *testing.T) {
	w := spawn(t, "worker", "")
	recv[Hello](w)
	w.send(Setup{Sockets: []Socket{{Name: "127.0.0.1:1", Proto: "uwsgi"}}})
	if got := recv[Failed](w).Err; !strings.Contains(got, "inherit uwsgi socket 127.0.0.1:1") {
		t.Errorf("Failed says %q", got)
	}
}

func TestTheMasterSeesAnEOFWhenItsWorkerDies(t *testing.T) {
	for name, unread := range map[string][]Message{"nothing unread": nil, "with unread frames": {Reopen{}, Reopen{}}} {
		t.Run(name, func(t *testing.T) {
			dies := spawn(t, "worker", "")
			dies.boot()
			other := spawn(t, "worker", "") // must not hold an end of the first's socket
			other.boot()
			dies.stop()
			for _, m := range unread {
				dies.send(m)
			}
			if err := syscall.Kill(dies.pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			dies.wait()
			if m, err := dies.conn.Recv(); err != io.EOF {
				t.Errorf("received %#v, %v from a dead worker, want io.EOF itself", m, err)
			}
		})
	}
}

func TestAnotherContractVersionIsExplainedToBothSides(t *testing.T) {
	w := spawn(t, "inherit", "99")
	got := recv[Failed](w)
	if got.Stage != "contract" || !strings.Contains(got.Err, `"99"`) || !strings.Contains(got.Err, "version 2") {
		t.Errorf("the master receives %+v", got)
	}
	if ws := w.wait(); ws.ExitStatus() != 0 {
		t.Errorf("Inherit broke its process: %v", ws)
	}
}

func TestInheritWithoutAMaster(t *testing.T) {
	if _, err := Inherit(); !errors.Is(err, ErrNotWorker) {
		t.Errorf("Inherit: %v, want ErrNotWorker", err)
	}
	cmd := exec.Command(openSelf(t).Name())
	cmd.Env = append(os.Environ(), childVar+"=inherit", EnvVar+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("do not set OSTLER_WORKER by hand; marked=false")) {
		t.Errorf("a process started by hand says %q", out)
	}
}

func TestEnvironKeepsTheRest(t *testing.T) {
	got := Environ([]string{
		"PATH=/bin", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=2", "LISTEN_FDS=1", "LISTEN_PID=3",
		"LISTEN_FDNAMES=a", "OSTLER_WORKER=7", "OSTLER_DAEMON=1", "LISTENER=x", "NOTIFY_SOCKETS=y", "EMPTY=", "odd",
	})
	want := []string{"PATH=/bin", "LISTENER=x", "NOTIFY_SOCKETS=y", "EMPTY=", "odd", "OSTLER_WORKER=2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Environ = %q, want %q", got, want)
	}
}

func TestOnlySocketsCanBeDuplicated(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct{ net.Listener }{ln}
	if _, err := DupListener(hidden); err == nil || !strings.Contains(err.Error(), "has no descriptor") {
		t.Errorf("a listener without a descriptor: %v", err)
	}
	_ = ln.Close()
	if _, err := DupListener(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: %v, want net.ErrClosed", err)
	}
}
