package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// Times, sizes and names that no counter depends on, each against what the test knows by
// itself. The master runs as somebody else where it can: 0 for root would be 0 for nothing.
func TestEveryFieldOfThePresentIsTrue(t *testing.T) {
	t.Parallel()
	process := servertest.Process{}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 64711, 64712
		process = servertest.Process{Program: programForAll(t), Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	launched := time.Now()
	i := servertest.LaunchAs(t, strings.Replace(echoing, `"echo"`, `"gate"`, 1)+"[env]\nGATE = \"$DIR/gate\"\n", process)
	gate := servertest.NewGate(t, i.Dir)
	if err := os.Chmod(filepath.Join(i.Dir, "gate"), 0o777); err != nil {
		t.Fatal(err)
	}

	ready := laterSecond(i)
	s := i.Stats()
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", i.PID()))
	if err != nil || s.PID != i.PID() || s.Cwd != cwd || s.UID != uid || s.GID != gid {
		t.Errorf("pid %d in %q as %d:%d, want %d in %q (%v) as %d:%d", s.PID, s.Cwd, s.UID, s.GID, i.PID(), cwd, err, uid, gid)
	}
	for _, w := range s.Workers {
		within(t, "last_spawn", w.LastSpawn, launched, ready)
		size, resident := pagesOf(t, w.PID)
		if w.VSZ <= w.RSS || w.RSS == 0 || w.VSZ/2 > size || w.VSZ < size/2 || w.RSS/4 > resident || w.RSS < resident/4 {
			t.Errorf("vsz %d and rss %d, the kernel says %d and %d", w.VSZ, w.RSS, size, resident)
		}
	}

	asked := time.Now()
	answered := make(chan error, 1)
	go func() { answered <- through(i.HTTP("http").Transport) }()
	i.Until("a request is at the gate", func() bool { return gate.Inside() == 1 })
	arrived := laterSecond(i)
	started := startOf(t, i.Stats())
	within(t, "request_start", started, asked, arrived)
	gate.Open()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// programForAll is a copy of this test's program where everybody may run it.
func programForAll(t *testing.T) string {
	t.Helper()
	dir := servertest.Dir(t)
	program := filepath.Join(dir, "app")
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// laterSecond returns now when the clock shows another second: who tells the present instead
// of what it remembers then is found out.
func laterSecond(i *servertest.Instance) (was time.Time) {
	was = time.Now()
	i.Until("the next second", func() bool { return time.Now().Unix() > was.Unix() })
	return was
}

func within(t *testing.T, what string, epoch int64, from, to time.Time) {
	t.Helper()
	if epoch < from.Unix() || epoch > to.Unix() {
		t.Errorf("%s is %d, it was from %d to %d", what, epoch, from.Unix(), to.Unix())
	}
}

// pagesOf is what the kernel says of a process's memory, in bytes.
func pagesOf(t *testing.T, pid int) (size, resident uint64) {
	t.Helper()
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		t.Fatal(err)
	}
	page := uint64(os.Getpagesize())
	return size * page, resident * page
}

// startOf is the request_start of the only request.
func startOf(t *testing.T, s stats.Snapshot) (start int64) {
	t.Helper()
	for _, w := range s.Workers {
		for _, c := range w.Cores {
			if (c.ReqInfo.RequestStart != 0) != (c.InRequest == 1) {
				t.Errorf("core %+v", c)
			}
			start += c.ReqInfo.RequestStart
		}
	}
	if n := busy(s); n != 1 {
		t.Fatalf("%d requests", n)
	}
	return start
}

// A respawn is newer than what it replaces, and begins its own count; the worker's goes on.
func TestARespawnIsNewAndItsWorkerIsNot(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(echoing, "processes = 2", "processes = 1", 1))
	ask := func(delta, requests uint64) stats.Worker {
		t.Helper()
		if err := servertest.Echo(i.HTTP("http").Transport, "http://site/")(); err != nil {
			t.Fatal(err)
		}
		s := i.WaitFor("the request is counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests >= requests })
		if w := s.Workers[0]; w.DeltaRequests != delta || w.Requests != requests {
			t.Errorf("%d requests, %d of the present process, want %d and %d", w.Requests, w.DeltaRequests, requests, delta)
		}
		return s.Workers[0]
	}
	ask(1, 1)
	first := ask(2, 2)
	laterSecond(i)
	killed := time.Now()
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := i.WaitFor("it is back", func(s stats.Snapshot) bool { return s.Ready == 1 && s.Workers[0].PID != first.PID })
	if n := s.Workers[0].DeltaRequests; n != 0 {
		t.Errorf("a process that has served nobody has %d requests", n)
	}
	back := laterSecond(i)
	second := ask(1, 3)
	within(t, "last_spawn of the second", second.LastSpawn, killed, back)
	if second.LastSpawn <= first.LastSpawn {
		t.Errorf("last_spawn was %d, and is %d after a respawn", first.LastSpawn, second.LastSpawn)
	}
}
