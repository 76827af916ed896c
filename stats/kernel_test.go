package stats

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessMemoryOfOurselves(t *testing.T) {
	rss, vsz := ProcessMemory(os.Getpid())
	if runtime.GOOS != "linux" {
		if rss != 0 || vsz != 0 {
			t.Errorf("%d, %d without Linux's /proc", rss, vsz)
		}
		return
	}
	if rss < 1<<20 || vsz < rss { // a Go process has more than a megabyte
		t.Errorf("rss %d, vsz %d", rss, vsz)
	}
}

func TestProcessMemoryOfNobody(t *testing.T) {
	if rss, vsz := ProcessMemory(-1); rss != 0 || vsz != 0 {
		t.Errorf("%d, %d for a process that does not exist", rss, vsz)
	}
}

func TestParseStatm(t *testing.T) {
	for in, want := range map[string][2]uint64{
		"300 20 15 1 0 90 0\n": {20 * 4096, 300 * 4096},
		"300 20":               {20 * 4096, 300 * 4096},
		"300":                  {},
		"":                     {},
		"-1 20":                {},
		"300 x":                {},
	} {
		if rss, vsz := parseStatm([]byte(in), 4096); rss != want[0] || vsz != want[1] {
			t.Errorf("parseStatm(%q) = %d, %d, want %d", in, rss, vsz, want)
		}
	}
}

func FuzzParseStatm(f *testing.F) {
	f.Add([]byte("300 20 15 1 0 90 0\n"))
	f.Add([]byte("99999999999999999999 1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if rss, vsz := parseStatm(in, 1); (rss != 0 || vsz != 0) && len(in) < 3 {
			t.Errorf("parseStatm(%q) = %d, %d", in, rss, vsz)
		}
	})
}

// onFD calls QueueLength with a descriptor that Go's netpoller goes on owning.
func onFD(t *testing.T, c syscall.Conn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = QueueLength(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestQueueLengthCountsWhatWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows the queue of a listener")
	}
	for network, addr := range map[string]string{
		"tcp": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s"), "abstract": fmt.Sprintf("@ostler-test-%d", os.Getpid()),
	} {
		t.Run(network, func(t *testing.T) { testQueueLength(t, strings.Replace(network, "abstract", "unix", 1), addr) })
	}
}

func testQueueLength(t *testing.T, network, addr string) {
	ln, err := net.Listen(network, addr)
	if err != nil && network == "tcp6" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	want := func(n int) {
		t.Helper()
		for end := time.Now().Add(deadline); onFD(t, ln.(syscall.Conn)) != n; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("QueueLength stays %d, want %d", onFD(t, ln.(syscall.Conn)), n)
			}
		}
	}
	want(0)
	for range 3 {
		c, err := net.Dial(network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n := onFD(t, c.(syscall.Conn)); n != 0 {
			t.Errorf("a connection has a queue of %d", n)
		}
	}
	want(3)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want(2)
}

func TestQueueLengthOfOtherDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, n := range map[string]int{"a pipe": onFD(t, r), "no descriptor": QueueLength(-1)} {
		if n != 0 {
			t.Errorf("%s has a queue of %d", name, n)
		}
	}
	if n := QueueOverflows(-1); n != 0 {
		t.Errorf("no descriptor has %d overflows", n)
	}
}

func TestProcessResourcesOfOurselves(t *testing.T) {
	before, threads := ProcessResources(os.Getpid())
	if runtime.GOOS != "linux" {
		if before != 0 || threads != 0 {
			t.Errorf("%d, %d without Linux's /proc", before, threads)
		}
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	after, _ := ProcessResources(os.Getpid())
	r.Close()
	w.Close()
	if after != before+2 || threads < 2 { // the runtime alone has more than one
		t.Errorf("%d descriptors, and %d with a pipe; %d threads", before, after, threads)
	}
	names, err := os.ReadDir("/proc/self/fd")
	if now, _ := ProcessResources(os.Getpid()); err != nil || len(names) != now+1 { // that of the reading
		t.Errorf("%d descriptors, want %d, %v", now, len(names)-1, err)
	}
	if fds, threads := ProcessResources(-1); fds != 0 || threads != 0 {
		t.Errorf("%d, %d for a process that does not exist", fds, threads)
	}
}

func TestOpenFDsOfAnOlderLinux(t *testing.T) {
	dir := t.TempDir() // its size is not the number of its names
	for _, name := range []string{"0", "1", "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := countNames(dir); n != 3 {
		t.Errorf("%d names, want 3", n)
	}
	if n := countNames(filepath.Join(dir, "none")); n != 0 {
		t.Errorf("a folder that is not there has %d names", n)
	}
}

func TestParseThreads(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 0 19"
	for in, want := range map[string]int{
		"4711 (hello)" + strings.Replace(rest, " 17 0", " 7 0", 1):       7,
		"4711 (a) b (c d) )" + strings.Replace(rest, " 17 0", " 9 0", 1): 9,
		"4711 (hello) S 1 2": 0, "": 0, "4711": 0,
		"1 (x)" + strings.Replace(rest, " 17 0", " -7 0", 1): 0,
	} {
		if got := parseThreads([]byte(in)); got != want {
			t.Errorf("parseThreads(%q) = %d, want %d", in, got, want)
		}
	}
}
