package server_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// shop is an instance of testdata/shop whose program is replaced again and again.
type shop struct {
	*servertest.Instance
	t      testing.TB
	path   string // where deploys put the program
	builds [2]servertest.Build
	turn   int // the build that was deployed last
}

const shopping = `
processes = 2
threads = 4
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
control = "$DIR/control"
`

// openShop deploys the first build and launches it.
func openShop(t *testing.T, toml string) *shop {
	t.Helper()
	s := &shop{t: t, builds: servertest.Builds(t, "testdata/shop"), path: filepath.Join(servertest.Dir(t), "shop")}
	s.builds[0].Deploy(t, s.path)
	s.Instance = servertest.LaunchAs(t, toml, servertest.Process{Program: s.path})
	return s
}

// deploy puts the other build in place, or one that is bad in this way.
func (s *shop) deploy(bad string) {
	s.t.Helper()
	s.turn = 1 - s.turn
	if bad != "" {
		bad = "\nbad:" + bad
	}
	s.build().Deploy(s.t, s.path, bad)
}

func (s *shop) build() servertest.Build { return s.builds[s.turn] }

// command is one of the program that was good from the beginning.
func (s *shop) command(args ...string) (out string, code int) {
	s.t.Helper()
	return s.builds[0].Command(s.Instance, args...)
}

// reload wants what was deployed to serve.
func (s *shop) reload() {
	s.t.Helper()
	if out, code := s.command("reload"); code != 0 {
		s.t.Fatalf("reload: exit code %d\n%s\n%s", code, out, s.Log())
	}
}

// succeeded waits for the program that was deployed to be the master, in the old one's
// process.
func (s *shop) succeeded() {
	s.t.Helper()
	newest := file(s.t, s.path)
	s.Until("the new program is the master", func() bool { return runs(s.PID(), newest) })
}

// file is what is at path, to be told from others.
func file(t testing.TB, path string) fs.FileInfo {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// runs reports whether a process runs this very file, wherever that is by now.
func runs(pid int, program fs.FileInfo) bool {
	st, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && os.SameFile(st, program)
}

// running are the processes that run a program of folder, whatever became of the file.
func running(t testing.TB, folder string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, exe := range all {
		to, err := os.Readlink(exe)
		if err != nil || !strings.HasPrefix(to, folder+"/") {
			continue // it has ended, or is a kernel thread
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
		if err != nil {
			t.Fatal(err)
		}
		if servertest.Alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// nobodyLeft waits until no process of the shop is left, the master included.
func (s *shop) nobodyLeft() {
	s.t.Helper()
	s.Until("no process is left", func() bool { return len(running(s.t, filepath.Dir(s.path))) == 0 })
}

// behindNginx gives an address at which a real nginx passes everything to the shop.
func (s *shop) behindNginx(t *testing.T) string {
	t.Helper()
	port := servertest.Port(t)
	servertest.Nginx(t, port, fmt.Sprintf(`server {
		listen 127.0.0.1:%d;
		location / { uwsgi_pass unix:%s/uwsgi; include /etc/nginx/uwsgi_params; uwsgi_next_upstream off; }
	}`, port, s.Dir))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// customers are n clients of each kind: over nginx, over connections that are kept, and
// over new ones. All send 16 KiB.
func (s *shop) customers(t *testing.T, nginx string, n int) []*servertest.Load {
	return []*servertest.Load{
		servertest.Run(t, n, servertest.Echo(s.HTTP(nginx).Transport, "http://site/nginx")),
		servertest.Run(t, n, servertest.Echo(s.HTTP("http").Transport, "http://site/kept")),
		servertest.Run(t, n, servertest.Echo(transport(s.Instance, "http-socket", "http"), "http://site/new")),
		servertest.Run(t, n, servertest.Echo(s.UWSGI("uwsgi"), "http://site/uwsgi")),
	}
}

// requestsFlow waits until everybody was answered once more.
func (s *shop) requestsFlow(loads []*servertest.Load) {
	s.t.Helper()
	for _, l := range loads {
		before := l.Done()
		s.Until("requests flow", func() bool { return l.Done() > before+1 })
	}
}

// weight is what a master holds of the machine.
type weight struct {
	descriptors, threads int
	memory               uint64
}

// weigh waits until the workers of the past are gone, zombies too, and weighs the master.
func (s *shop) weigh(t *testing.T, workers int) weight {
	t.Helper()
	s.Until("only the present workers are left", func() bool { return len(children(t, s.PID())) == workers })
	memory, _ := stats.ProcessMemory(s.PID())
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return weight{descriptors(t, s.PID()), len(threads), memory}
}
