package server_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// program puts a copy of this test binary at path, as a deploy would.
func program(t *testing.T, path string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// image is the file that a process runs.
func image(t *testing.T, pid int) string {
	t.Helper()
	path, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A deploy that moves a link is followed by a reload; a worker that dies before
// it is replaced by the program it ran.
func TestReloadFollowsAMovedLink(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	link := filepath.Join(dir, "current")
	for _, release := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, release), 0o755); err != nil {
			t.Fatal(err)
		}
		program(t, filepath.Join(dir, release, "app"))
	}
	point := func(release string) {
		if err := os.Symlink(release, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	point("one")
	i := servertest.LaunchAs(t, echoing, servertest.Process{Program: filepath.Join(link, "app")})
	point("two")
	old := i.Stats().Workers[0].PID
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := i.WaitFor("the worker is back", func(s stats.Snapshot) bool { return s.Workers[0].PID != old && s.Ready == 2 })
	if got := image(t, s.Workers[0].PID); !strings.HasSuffix(got, "/one/app") {
		t.Errorf("the worker that was replaced runs %s, want the program of its generation", got)
	}
	if out, code := i.Command("reload"); code != 0 {
		t.Fatalf("reload: exit code %d\n%s", code, out)
	}
	for _, w := range i.Stats().Workers {
		if got := image(t, w.PID); !strings.HasSuffix(got, "/two/app") {
			t.Errorf("after the reload worker %d runs %s", w.ID, got)
		}
	}
}

// What is at the program's path may be anything by the time of a reload.
func TestReloadOfWhatIsNoProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(servertest.Dir(t), "app")
	program(t, path)
	i := servertest.LaunchAs(t, echoing+"start-timeout = \"4s\"\n", servertest.Process{Program: path})
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	for name, text := range map[string]string{
		"garbage":                   "\x7fELF garbage",
		"exit 0 without a plan":     "#!/bin/sh\nexit 0\n",
		"its own words":             "#!/bin/sh\necho the disk is upside down >&2\nexit 1\n",
		"a child that keeps stdout": "#!/bin/sh\nsleep 30 &\necho no plan\n",
		"no answer":                 "#!/bin/sh\nsleep 30\n",
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		out, code := i.Command("reload")
		if code != 1 || strings.Contains(text, "upside") && !strings.Contains(out, "upside down") {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if out, code := i.Command("reload"); code != 1 {
		t.Errorf("no file at all: exit code %d\n%s", code, out)
	}
	program(t, path)
	if out, code := i.Command("reload"); code != 0 {
		t.Errorf("a good program again: exit code %d\n%s", code, out)
	}
	load.MustLoseNothing()
}

// The reader of the log may go away: the master stays.
func TestMasterOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	i := servertest.LaunchAs(t, echoing+"logto = \"stderr\"\nreq-logger = \"stderr\"\n", servertest.Process{Output: write})
	write.Close()
	read.Close()
	for range 3 {
		i.Signal(syscall.SIGUSR2) // a line for the log
	}
	if err := servertest.Echo(i.HTTP("http").Transport, "http://site/")(); err != nil {
		t.Errorf("not served any more: %v", err)
	}
	i.Signal(syscall.SIGTERM)
	if err := i.Wait(); err != nil {
		t.Errorf("the master ended with %v", err)
	}
}
