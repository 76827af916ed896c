package server_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// Four workers with two slots each are eight handlers; the other 56 clients wait
// in the kernel's queue, where the stats show them, and none is lost.
func TestNeverMoreHandlersThanSlots(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"socket", "http-socket"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			addr := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
			i := servertest.Launch(t, fmt.Sprintf(`
module = "gate"
processes = 4
threads = 2
%s = %q
queue-timeout = "60s"
[env]
GATE = "$DIR/gate"
`, proto, addr))
			gate := servertest.NewGate(t, i.Dir)
			rt := transport(i, proto, addr)
			const clients = 64
			answers := make(chan error, clients)
			for range clients {
				go func() { answers <- through(rt) }()
			}
			i.WaitFor("8 handlers run and the others wait, in the kernel if they can", func(s stats.Snapshot) bool {
				waiting := clients - 8
				if proto == "http-socket" { // a head that takes longer than the grace lets another connection in
					for _, w := range s.Workers {
						waiting -= w.Queued
					}
				}
				return busy(s) == 8 && s.ListenQueue >= waiting
			})
			for range clients {
				i.Until("a handler is at the gate", func() bool { return gate.Inside() > 0 })
				gate.Release()
				if err := <-answers; err != nil {
					t.Errorf("lost: %v", err)
				}
			}
			if most := gate.Most(); most != 8 {
				t.Errorf("%d handlers ran at once, want exactly the 8 slots", most)
			}
		})
	}
}

// transport is a client of the socket that opens a connection for each request,
// as nginx does for uwsgi.
func transport(i *servertest.Instance, proto, addr string) http.RoundTripper {
	if proto == "socket" {
		return i.UWSGI(addr)
	}
	rt := i.HTTP(addr).Transport.(*http.Transport)
	rt.DisableKeepAlives = true
	return rt
}

func through(rt http.RoundTripper) error { return request(rt, http.MethodGet, "http://gate/") }

// request wants a 200, on the first try.
func request(rt http.RoundTripper, method, url string) error {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}

func busy(s stats.Snapshot) (n int) {
	for _, w := range s.Workers {
		for _, c := range w.Cores {
			n += c.InRequest
		}
	}
	return n
}

// A worker that is killed takes only its own requests with it, is replaced, and
// what it had counted stays counted.
func TestKilledWorkerCostsItsOwnRequestsOnly(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "echo"
processes = 3
threads = 2
socket = "$DIR/uwsgi"
`)
	load := servertest.Run(t, 12, servertest.Echo(i.UWSGI("uwsgi"), "http://site/echo"))
	watch := watchTotals(t, i)
	const kills = 5
	for n := range kills {
		before := load.Done()
		i.Until("requests flow", func() bool { return load.Done() > before+50 })
		victim := i.Stats().Workers[n%3]
		killed := time.Now()
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		i.WaitFor("the worker is back", func(s stats.Snapshot) bool {
			w := s.Workers[n%3]
			return w.PID != victim.PID && w.Accepting == 1 && s.Ready == 3
		})
		t.Logf("back after %s", time.Since(killed).Round(time.Millisecond)) // for -v: no test asserts a time
	}
	if failed := load.Stop(); len(failed) > kills*2 {
		t.Errorf("%d requests failed, at most the %d slots of the killed workers could: %v", len(failed), kills*2, failed)
	}
	watch.stop()
	s := i.Stats()
	var requests, respawns uint64
	for _, w := range s.Workers {
		requests += w.Requests
		respawns += w.RespawnCount - 1
	}
	if answered := uint64(load.Done()); requests < answered || requests > answered+kills*2 {
		t.Errorf("stats count %d requests, clients got %d answers", requests, answered)
	}
	if respawns != kills {
		t.Errorf("stats count %d respawns, want %d", respawns, kills)
	}
	if log := i.Log(); !strings.Contains(log, "killed") {
		t.Errorf("the log does not say that a worker was killed:\n%s", log)
	}
}

// totals looks at the stats again and again and fails when a number goes back.
type totals struct{ *servertest.Load }

func watchTotals(t *testing.T, i *servertest.Instance) totals {
	last := make(map[int]map[string]uint64)
	return totals{servertest.Run(t, 1, func() error {
		for n, w := range i.Stats().Workers {
			now := counters(w)
			for name, was := range last[n] {
				if now[name] < was {
					return fmt.Errorf("worker %d: %s went back from %d to %d", n+1, name, was, now[name])
				}
			}
			last[n] = now
		}
		return nil
	})}
}

func (w totals) stop() { w.MustLoseNothing() }

// counters is every number of a row that must never go back.
func counters(w stats.Worker) map[string]uint64 {
	all := map[string]uint64{
		"requests": w.Requests, "exceptions": w.Exceptions, "rejected": w.Rejected, "harakiri_count": w.HarakiriCount,
		"rx": w.Rx, "tx": w.Tx, "running_time": w.RunningTime, "respawn_count": w.RespawnCount,
		"1xx": w.StatusCodes.Informational, "2xx": w.StatusCodes.Successful, "3xx": w.StatusCodes.Redirection,
		"4xx": w.StatusCodes.ClientError, "5xx": w.StatusCodes.ServerError, "other": w.StatusCodes.Other,
	}
	for n, b := range w.Latency.Buckets {
		all[fmt.Sprintf("latency bucket %d", n)] = b
	}
	for _, a := range w.Apps {
		all[fmt.Sprintf("requests of app %d", a.ID)] = a.Requests
		all[fmt.Sprintf("exceptions of app %d", a.ID)] = a.Exceptions
	}
	for _, c := range w.Cores {
		all[fmt.Sprintf("requests of core %d", c.ID)] = c.Requests
		all[fmt.Sprintf("read errors of core %d", c.ID)] = c.ReadErrors
		all[fmt.Sprintf("write errors of core %d", c.ID)] = c.WriteErrors
	}
	return all
}

// Twenty reloads under load from three kinds of clients: nobody notices, and
// nothing is left behind.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	nginx := servertest.Port(t)
	i := servertest.Launch(t, `
module = "echo"
processes = 2
threads = 4
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
`)
	servertest.Nginx(t, nginx, fmt.Sprintf(`server {
		listen 127.0.0.1:%d;
		location / { uwsgi_pass unix:%s/uwsgi; include /etc/nginx/uwsgi_params; uwsgi_next_upstream off; }
	}`, nginx, i.Dir))
	proxied := i.HTTP(fmt.Sprintf("127.0.0.1:%d", nginx))
	loads := []*servertest.Load{
		servertest.Run(t, 3, servertest.Echo(proxied.Transport, "http://site/nginx")),
		servertest.Run(t, 3, servertest.Echo(i.HTTP("http").Transport, "http://site/kept")),
		servertest.Run(t, 2, servertest.Echo(i.UWSGI("uwsgi"), "http://site/uwsgi")),
	}
	watch := watchTotals(t, i)
	reload := func(gen int) {
		i.Signal(syscall.SIGHUP)
		i.WaitFor(fmt.Sprintf("generation %d serves alone", gen), func(s stats.Snapshot) bool {
			return s.Generation == gen && s.State == "serving" && s.Ready == 2
		})
		before := total(loads)
		i.Until("requests flow", func() bool { return total(loads) > before+20 })
	}
	reload(2)
	first := descriptors(t, i.PID())
	half := soaking(5, 10)
	for gen := 3; gen <= half+1; gen++ {
		reload(gen)
	}
	memory, _ := stats.ProcessMemory(i.PID())
	for gen := half + 2; gen <= 2*half+1; gen++ {
		reload(gen)
	}
	for _, l := range loads {
		l.MustLoseNothing()
	}
	watch.stop()
	i.Until("the old generations are gone", func() bool { return len(children(t, i.PID())) == 2 })
	i.Until("descriptors are as before", func() bool { return descriptors(t, i.PID()) <= first })
	// A page of two rows that leaked would be some KiB a worker; 8 MiB is the noise of a heap.
	if now, _ := stats.ProcessMemory(i.PID()); now > memory+8<<20 {
		t.Errorf("the master grew from %d to %d KiB over 10 reloads", memory>>10, now>>10)
	}
}

func total(loads []*servertest.Load) (n int64) {
	for _, l := range loads {
		n += l.Done()
	}
	return n
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// children are the processes of a master, zombies included.
func children(t *testing.T, pid int) []string {
	t.Helper()
	var all []string
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err == nil { // else the thread has ended
			all = append(all, strings.Fields(string(text))...)
		}
	}
	return all
}
