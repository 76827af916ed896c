package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A hundred MiB for ten thousand connections, over all workers.
const perConnection = 100 << 20 / 10_000

// Connections that wait for a request cost neither memory nor time worth speaking of, and
// each is served when its request comes.
func TestIdleConnectionsCostLittle(t *testing.T) {
	n := manyConnections(t)
	i := servertest.LaunchAs(t, "module = \"echo\"\nprocesses = 2\nthreads = 64\nhttp-socket = \"$DIR/http\"\ndisable-logging = true\n",
		servertest.Process{Program: programWithoutRace(t)})
	one := dialIdle(i)
	one.ask(t, "warm")
	one.Close()
	before := memory(t, i.Stats())

	conns := make([]idleConn, n)
	for k := range conns {
		conns[k] = dialIdle(i)
		conns[k].ask(t, strconv.Itoa(k))
	}
	each := 0
	i.Until(fmt.Sprintf("an idle connection costs less than %d bytes", perConnection), func() bool {
		each = (memory(t, i.Stats()) - before) / n
		return each < perConnection
	})
	t.Logf("%d idle connections cost %d bytes each", n, each)

	// What a collection of garbage takes, and neighbours take of the caches, comes and goes: the
	// cheapest of several turns counts.
	const rest, turns = 2 * time.Second, 3
	used := rest
	for turn := 0; turn < turns && used > rest/20; turn++ {
		cpu := cpuTime(t, i.Stats())
		await(rest)
		used = min(used, cpuTime(t, i.Stats())-cpu)
	}
	if used > rest/20 {
		t.Errorf("%d idle connections cost %s of CPU in %s", n, used, rest)
	}
	for k, c := range conns {
		c.ask(t, strconv.Itoa(k))
	}
}

// manyConnections is ten thousand, or what the limit of descriptors allows.
func manyConnections(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := int(min(10_000, limit.Cur-limit.Cur/8-100))
	if n < 500 {
		t.Skipf("%d descriptors are too few", limit.Cur)
	}
	return n
}

// idleConn has no reader that keeps a buffer: there are thousands of them.
type idleConn struct{ net.Conn }

func dialIdle(i *servertest.Instance) idleConn { return idleConn{i.Dial("http")} }

func (c idleConn) ask(t *testing.T, what string) {
	t.Helper()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(what), what)
	b := make([]byte, 1024)
	k, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b[:k])), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(body), what) || err != nil {
		t.Fatalf("%s %q, %v, want %q", res.Status, body, err, what)
	}
}

// memory is what all workers have of their own, and their part of what they share.
func memory(t *testing.T, s stats.Snapshot) (bytes int) {
	t.Helper()
	for _, w := range s.Workers {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", w.PID))
		if err != nil {
			t.Skipf("no memory of worker %d: %v", w.PID, err)
		}
		_, rest, _ := strings.Cut(string(b), "\nPss:")
		var kib int
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			t.Fatalf("Pss in\n%s", b)
		}
		bytes += kib << 10
	}
	return bytes
}

// cpuTime is what all workers have used.
func cpuTime(t *testing.T, s stats.Snapshot) (used time.Duration) {
	t.Helper()
	const tick = 10 * time.Millisecond // of every Linux, for those who read /proc
	for _, w := range s.Workers {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.PID))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, f := range fields[11:13] { // utime, stime
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			used += time.Duration(n) * tick
		}
	}
	return used
}
