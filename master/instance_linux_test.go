package master

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// instance is a real master with real workers.
type instance struct {
	*Master
	t     *testing.T
	stop  context.CancelFunc
	ended chan error

	mu     sync.Mutex
	plan   Plan
	binary string
}

func config(t *testing.T, c tinyConfig) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func start(t *testing.T, plan Plan, more ...func(*Options)) *instance {
	t.Helper()
	i := launch(t, plan, more...)
	select {
	case <-i.Started():
	case err := <-i.ended:
		t.Fatalf("it does not start: %v", err)
	case <-time.After(patience):
		t.Fatal("it does not start")
	}
	return i
}

func launch(t *testing.T, plan Plan, more ...func(*Options)) *instance {
	t.Helper()
	if plan.Config == nil {
		plan.Config = config(t, tinyConfig{})
	}
	plan.Threads = 1
	i := &instance{t: t, plan: plan, ended: make(chan error, 1), binary: os.Args[0]}
	o := Options{Load: i.load, Vacuum: true}
	for _, f := range more {
		f(&o)
	}
	i.Master = New(o)
	i.backoff.base = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	go func() { i.ended <- i.Run(ctx); close(i.ended) }()
	t.Cleanup(func() {
		i.Stop(true)
		for range i.ended {
		}
		stop()
	})
	return i
}

func (i *instance) load(context.Context) (Plan, Launcher, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, err := PinExecutable(i.binary, nil)
	return i.plan, l, err
}

func (i *instance) change(f func(*Plan)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(&i.plan)
}

// await waits until the snapshot is as it should be.
func (i *instance) await(what string, ok func(stats.Snapshot) bool) stats.Snapshot {
	i.t.Helper()
	var last stats.Snapshot
	until(i.t, what, func() bool {
		last = i.Snapshot()
		return ok(last)
	})
	return last
}

// ask connects and hears who answers.
func ask(t *testing.T, name string) tale {
	t.Helper()
	c, err := net.DialTimeout(network(name), name, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	raw, err := io.ReadAll(c)
	var told tale
	if err := errors.Join(err, json.Unmarshal(raw, &told)); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return told
}

// checkSockets: no launch may have touched the flag that all workers share.
func (i *instance) checkSockets() {
	i.t.Helper()
	for _, b := range i.view.Load().sockets {
		if !nonblocking(i.t, b.FD()) {
			i.t.Errorf("%s lost O_NONBLOCK", b.Name)
		}
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func pids(s stats.Snapshot) []int {
	var list []int
	for _, w := range s.Workers {
		list = append(list, w.PID)
	}
	return list
}

func requests(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		n += w.Requests
	}
	return n
}

// processes is how many there are at all, draining ones included.
func (i *instance) processes() (n int) {
	for _, w := range i.view.Load().workers {
		n += len(w.pages)
	}
	return n
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
