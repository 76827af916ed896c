package master

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/stats"
)

// How a worker died is told with what its runtime printed, and kept in a file.
func TestACrashIsReported(t *testing.T) {
	dir := t.TempDir()
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}}, func(o *Options) { o.CrashDir = dir })
	pid := i.Snapshot().Workers[0].PID
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil { // the runtime prints all stacks, and exits with 2
		t.Fatal(err)
	}
	s := i.await("the worker is back", func(s stats.Snapshot) bool { return len(s.Crashes) == 1 && s.Ready == 1 })
	c := s.Crashes[0]
	if c.PID != pid || c.Ready != 1 || c.Exit != "exited with status 2" || c.MaxRSS == 0 ||
		!strings.HasPrefix(c.Words, "SIGQUIT: quit") || !strings.Contains(c.Words, "tinyServe") {
		t.Errorf("the crash is reported as %+v", c)
	}
	until(t, "its file is written", func() bool {
		text, _ := os.ReadFile(c.File)
		return strings.Contains(string(text), "tinyServe")
	})
	if filepath.Dir(c.File) != dir {
		t.Errorf("it is in %s", c.File)
	}
}
