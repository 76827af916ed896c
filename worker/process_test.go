package worker

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"io"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// beWorker is this test binary as a worker: it serves its own pid.
func beWorker() int {
	debug.SetTraceback("all")
	conn, err := control.Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	a := &app{handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%d", os.Getpid()) }}
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr})
	if err := Run(context.Background(), Options{Conn: conn, BuildID: "child", Build: a.build, Log: always(log)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a real worker process.
type child struct {
	pid  int
	conn *control.Conn
	page *scoreboard.Page
}

// spawn starts this binary as a worker on ln and waits until it is ready.
func spawn(t *testing.T, ln net.Listener) *child {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, end, err := control.Pair()
	must(err)
	t.Cleanup(func() { conn.Close() })
	page, pageFile, err := scoreboard.Create(2, 2)
	must(err)
	socket, err := control.DupListener(ln)
	must(err)
	exe, err := os.Executable()
	must(err)
	pinned, err := os.Open(exe)
	must(err)
	crash, err := scoreboard.Nameless("crash")
	must(err)
	defer crash.Close()
	pid, err := syscall.ForkExec(exe, []string{exe}, &syscall.ProcAttr{
		Env:   control.Environ(os.Environ()),
		Files: []uintptr{0, 1, 2, end.Fd(), pageFile.Fd(), crash.Fd(), 1, 2, uintptr(socket), pinned.Fd()},
	})
	must(err)
	end.Close()
	pageFile.Close()
	pinned.Close()
	syscall.Close(socket)
	c := &child{pid: pid, conn: conn, page: page}
	hello, err := conn.Recv()
	must(err)
	if h, ok := hello.(control.Hello); !ok || h.PID != pid {
		t.Errorf("process %d said %+v", pid, hello)
	}
	must(conn.Send(control.Setup{Slot: 1, Generation: 1, Mercy: time.Minute,
		Sockets: []control.Socket{{Name: ln.Addr().String(), Proto: "http"}}}))
	ready, err := conn.Recv()
	must(err)
	if _, ok := ready.(control.Ready); !ok {
		t.Fatalf("process %d said %+v", pid, ready)
	}
	return c
}

// wait reaps the process and gives its exit status.
func (c *child) wait(t *testing.T) syscall.WaitStatus {
	t.Helper()
	var status syscall.WaitStatus
	timer := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(c.pid, syscall.SIGKILL) })
	defer timer.Stop()
	if _, err := syscall.Wait4(c.pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	return status
}

func ask(t *testing.T, ln net.Listener) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	res, err := client.Get("http://" + ln.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// One worker's drain must leave the shared socket alone, also when a third was started in
// between: see the trap in control.DupListener.
func TestDrainOfARealWorkerLeavesItsSiblingListening(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first, second := spawn(t, ln), spawn(t, ln)
	third := spawn(t, ln)
	for _, gone := range []*child{second, third} {
		if err := gone.conn.Send(control.Drain{Timeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if status := gone.wait(t); status.ExitStatus() != 0 {
			t.Errorf("a drained worker ended with %v", status)
		}
	}
	// first.conn stays open: were a sibling holding its worker end, its EOF would not show.
	if got := ask(t, ln); got != fmt.Sprint(first.pid) {
		t.Errorf("answered by %s, want %d", got, first.pid)
	}
	if n := first.page.Totals().Requests; n != 1 {
		t.Errorf("%d requests on its page", n)
	}
	first.conn.Close()
	if status := first.wait(t); status.ExitStatus() != 0 {
		t.Errorf("without a master it ended with %v", status)
	}
}

func TestRealWorkerTakesSIGTERMAndIgnoresSIGHUP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := spawn(t, ln)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		if err := syscall.Kill(c.pid, s); err != nil {
			t.Fatal(err)
		}
	}
	m, err := c.conn.Recv()
	if r, ok := m.(control.Retire); !ok || !strings.Contains(r.Reason, "SIGTERM") {
		t.Errorf("said %+v, %v", m, err)
	}
	if got := ask(t, ln); got != fmt.Sprint(c.pid) {
		t.Errorf("answered by %s", got)
	}
	if err := syscall.Kill(c.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := c.wait(t); status.ExitStatus() != 0 {
		t.Errorf("it ended with %v", status)
	}
}
