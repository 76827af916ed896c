package stats

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
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
		t.Skip("TCP_INFO of a listener is Linux's")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
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
		c, err := net.Dial("tcp", ln.Addr().String())
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
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if n := onFD(t, ln.(syscall.Conn)); n != 0 {
		t.Errorf("a unix socket has a queue of %d", n)
	}
	if n := QueueLength(-1); n != 0 {
		t.Errorf("no descriptor has a queue of %d", n)
	}
}
