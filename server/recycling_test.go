package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// hoard answers as echo does, and keeps a MiB that it has written to.
func hoard() http.Handler {
	var mu sync.Mutex
	var kept [][]byte
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		more := make([]byte, 1<<20)
		for i := 0; i < len(more); i += 4096 {
			more[i] = 1
		}
		mu.Lock()
		kept = append(kept, more)
		mu.Unlock()
		echo(w, r)
	})
}

const hoarding = `
module = "hoard"
processes = 2
threads = 4
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
control = "$DIR/control"
min-worker-lifetime = 0
crash-dir = "$DIR"
`

// A handler that leaks costs no request: its worker is replaced, again and again, and what
// it held is written down each time.
func TestALeakCostsNoRequest(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, hoarding+"reload-on-rss = \"200MiB\"\n")
	watch := watchTotals(t, i)
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	more := servertest.Run(t, 2, servertest.Echo(i.UWSGI("uwsgi"), "http://site/"))
	recycled := func(s stats.Snapshot) (n uint64) {
		for _, w := range s.Workers {
			n += w.Restarts.Memory
		}
		return n
	}
	want := soaking(4, 8) // the second: an hour of two workers that each last a quarter of it
	for n := 4; n <= want; n += 4 {
		i.WaitFor(fmt.Sprint(n, " workers were replaced"), func(s stats.Snapshot) bool { return recycled(s) >= uint64(n) && s.Ready == 2 })
	}
	load.MustLoseNothing()
	more.MustLoseNothing()
	watch.stop()
	if s := i.Stats(); len(s.Crashes) > 0 {
		t.Errorf("a worker that was replaced is a crash: %+v", s.Crashes)
	}
	heaps, err := filepath.Glob(filepath.Join(i.Dir, "heap-*.pprof"))
	if err != nil || len(heaps) < want {
		t.Fatalf("%d heap profiles, %v", len(heaps), err)
	}
	if st, err := os.Stat(heaps[0]); err != nil || st.Size() == 0 {
		t.Errorf("heap profile: %v", err)
	}
}

// A worker that eats the machine is killed before the kernel chooses.
func TestAWorkerOverTheEvilLimitIsKilled(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, hoarding+"evil-reload-on-rss = \"300MiB\"\n")
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	s := i.WaitFor("a worker is killed", func(s stats.Snapshot) bool { return len(s.Crashes) > 0 })
	load.Stop() // what ran in it died with it
	c := s.Crashes[len(s.Crashes)-1]
	if c.Reason != "memory" || !strings.Contains(c.Exit, "signal 9") || c.MaxRSS < 250<<20 {
		t.Errorf("it is reported as %+v", c)
	}
	i.Until("its report is written", func() bool {
		text, _ := os.ReadFile(c.File)
		return strings.Contains(string(text), "(memory)")
	})
}

// After so many requests a worker is replaced, and nobody notices.
func TestWorkersAreReplacedAfterMaxRequests(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing+"max-requests = 50\nmin-worker-lifetime = 0\n")
	watch := watchTotals(t, i)
	load := servertest.Run(t, 4, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	s := i.WaitFor("workers were replaced", func(s stats.Snapshot) bool {
		return s.Workers[0].Restarts.MaxRequests >= 2 && s.Workers[1].Restarts.MaxRequests >= 2
	})
	load.MustLoseNothing()
	watch.stop()
	if !strings.HasPrefix(s.Workers[0].LastExitReason, "max_requests") {
		t.Errorf("the reason is %q", s.Workers[0].LastExitReason)
	}
}

// A worker that has lived long enough, and one whose handler panicked, are replaced; what the
// application leaves running is named.
func TestWorkersAreReplacedByAgeAndPanic(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(echoing, `"echo"`, `"leaves-goroutines"`, 1)+"max-worker-lifetime = \"4s\"\nmin-worker-lifetime = 0\nreload-on-exception = true\n")
	if status, _ := get(t, i.HTTP("http").Transport, "http://site/?panic=1"); status != http.StatusInternalServerError {
		t.Errorf("a panic is answered %d", status)
	}
	i.WaitFor("it is replaced because of the panic", func(s stats.Snapshot) bool {
		return s.Workers[0].Restarts.Retired+s.Workers[1].Restarts.Retired > 0
	})
	i.WaitFor("workers are replaced by age", func(s stats.Snapshot) bool {
		return s.Workers[0].Restarts.Lifetime > 0 && s.Workers[1].Restarts.Lifetime > 0
	})
	i.Until("the goroutines are named", func() bool {
		return strings.Contains(i.Log(), "goroutines=3") && strings.Contains(i.Log(), "3 in github.com/seed17661985/ostler/server_test.waitForEver")
	})
}
