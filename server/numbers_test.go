package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// sums is what all workers have done together.
type sums struct {
	requests, answers, durations, apps, cores, ok, rx, tx uint64
}

func sumOf(s stats.Snapshot) (n sums) {
	for _, w := range s.Workers {
		n.requests += w.Requests
		n.durations += w.Latency.Count
		c := w.StatusCodes
		n.answers += c.Informational + c.Successful + c.Redirection + c.ClientError + c.ServerError + c.Other
		n.ok += c.Successful
		n.rx, n.tx = n.rx+w.Rx, n.tx+w.Tx
		for _, a := range w.Apps {
			n.apps += a.StatusCodes.Successful
		}
		for _, c := range w.Cores {
			n.cores += c.Requests
		}
	}
	return n
}

// What the clients have got answered is what the workers have counted, to the request:
// after kill -9 of workers that are idle, and after reloads, which nobody waits for.
func TestTheSumOverTheWorkersIsWhatTheClientsGot(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "echo"
processes = 3
threads = 2
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
disable-logging = true
`)
	watch := watchTotals(t, i)
	var sent uint64
	for round := range 3 {
		loads := []*servertest.Load{
			servertest.Run(t, 3, servertest.Echo(i.UWSGI("uwsgi"), "http://site/echo")),
			servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/echo")),
		}
		i.Until("requests flow", func() bool { return total(loads) > 100 })
		generation := i.Stats().Generation
		i.Signal(syscall.SIGHUP)
		i.WaitFor("the reload is over", func(s stats.Snapshot) bool { return s.Generation > generation && s.State == "serving" && s.Ready == 3 })
		before := total(loads)
		i.Until("requests flow after the reload", func() bool { return total(loads) > before+100 })
		for _, l := range loads {
			l.MustLoseNothing()
		}
		sent += uint64(total(loads))
		exact := func(s stats.Snapshot) bool {
			n := sumOf(s)
			return n.requests == sent && busy(s) == 0 && reloaded(s) == 3*(round+1)
		}
		// When its slot comes back, a moment after its answer; and the old workers are gone, or
		// theirs would be the last exits.
		i.WaitFor("every request is counted", exact)
		killAll(t, i)
		s := i.Stats()
		n := sumOf(s)
		if want := (sums{sent, sent, sent, sent, sent, sent, n.rx, n.tx}); n != want || n.rx < sent*16<<10 || n.tx < sent*16<<10 {
			t.Errorf("round %d: counted %+v, sent %d requests of 16 KiB", round, n, sent)
		}
		for _, w := range s.Workers {
			if w.Restarts.Signal != uint64(round+1) || w.LastExitReason != "signal" || w.RespawnCount != uint64(1+2*(round+1)) {
				t.Errorf("round %d: worker %d has restarts %+v, the last by %q, %d spawns", round, w.ID, w.Restarts, w.LastExitReason, w.RespawnCount)
			}
		}
		if want := (stats.Reloads{OK: uint64(round + 1)}); s.Reloads != want {
			t.Errorf("round %d: reloads %+v, want %+v", round, s.Reloads, want)
		}
	}
	watch.stop()
}

// All slots are busy and the kernel takes no more: the stats say so, for either kind of
// socket.
func TestAFullKernelQueueIsShown(t *testing.T) {
	t.Parallel()
	const slots, backlog = 2, 8
	waiting := backlog + 1 // Linux takes one more than it was told
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			addr := "uwsgi"
			bind := "$DIR/uwsgi"
			if network == "tcp" {
				addr = fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
				bind = addr
			}
			i := servertest.Launch(t, fmt.Sprintf(`
module = "gate"
processes = 2
threads = 1
listen = %d
socket = %q
[env]
GATE = "$DIR/gate"
`, backlog, bind))
			gate := servertest.NewGate(t, i.Dir)
			answers := make(chan error, slots+waiting)
			client := i.UWSGI(addr)
			ask := func() { answers <- through(client) }
			for range slots {
				go ask()
			}
			i.Until("all slots are busy", func() bool { return gate.Inside() == slots })
			for range waiting {
				go ask()
			}
			s := i.WaitFor("the queue is full", func(s stats.Snapshot) bool { return s.ListenQueue == waiting })
			if q := s.Sockets[0]; q.Queue != waiting || q.MaxQueue != backlog || s.Load != waiting || busy(s) != slots {
				t.Errorf("socket %+v, load %d, %d busy", q, s.Load, busy(s))
			}
			if s.ListenQueueErrors != 0 {
				t.Errorf("%d errors before anybody was turned away", s.ListenQueueErrors)
			}
			turnedAway(t, i, network, addr)
			gate.Open()
			for range slots + waiting {
				if err := <-answers; err != nil {
					t.Error(err)
				}
			}
			i.WaitFor("the queue is empty", func(s stats.Snapshot) bool { return s.ListenQueue == 0 && busy(s) == 0 })
		})
	}
}

// turnedAway connects once more. On a unix socket the client hears of it, and the kernel
// has no counter; over TCP the client goes on trying, and the kernel counts.
func turnedAway(t *testing.T, i *servertest.Instance, network, addr string) {
	t.Helper()
	if network == "unix" {
		if c, err := net.Dial("unix", filepath.Join(i.Dir, addr)); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("the queue takes another one: %v, %v", c, err)
		}
		return
	}
	ctx, stop := context.WithCancel(t.Context())
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		if c, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
			c.Close()
		}
	}()
	i.WaitFor("the kernel has turned one away", func(s stats.Snapshot) bool { return s.ListenQueueErrors > 0 })
	stop()
	<-dialed
}

// Who is refused before any handler is in no access log and no request counter.
func TestRefusalsAreCountedByReason(t *testing.T) {
	t.Parallel()
	port := servertest.Port(t)
	i := servertest.Launch(t, fmt.Sprintf(`
module = "echo"
processes = 1
threads = 1
socket = ["$DIR/uwsgi", "127.0.0.1:%d"]
http-socket = "$DIR/http"
allow-from = ["192.0.2.0/24"]
limit-post = "1KiB"
header-timeout = "2s"
queue-timeout = "3s"
[[mount]]
path = "/gate"
module = "gate"
[env]
GATE = "$DIR/gate"
`, port))
	gate := servertest.NewGate(t, i.Dir)
	say := func(addr, what, answer string) {
		t.Helper()
		c := i.Dial(addr)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, what)
		got, _ := io.ReadAll(c)
		if !strings.Contains(string(got), answer) {
			t.Errorf("%.30q is answered %.60q, want %s", what, got, answer)
		}
	}
	say("uwsgi", "GET / HTTP/1.0\r\n\r\n", " 400 ")
	say("uwsgi", "\x07\x00\x00\x00", " 501 ")
	say("uwsgi", "\x00", " 504 ")
	say(fmt.Sprintf("127.0.0.1:%d", port), "\x00\x00\x00\x00", " 403 ")
	say("http", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", " 400 ")
	say("http", "GET / HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("a", 80<<10)+"\r\n\r\n", " 431 ")
	long := strings.Repeat("x", 2<<10)
	for _, body := range []io.Reader{strings.NewReader(long), io.MultiReader(strings.NewReader(long))} { // the second is chunked
		resp, err := i.HTTP("http").Post("http://site/", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 4 {
			t.Errorf("a body over limit-post is answered %s", resp.Status)
		}
	}
	timeOutAndLeave(t, i, gate)

	want := stats.RejectStats{QueueTimeout: 1, ClientGone: 1, Malformed: 3, TooLarge: 1, HeadTimeout: 1, NotAllowed: 1, LimitPost: 2}
	s := i.WaitFor("everything is counted", func(s stats.Snapshot) bool { return s.Workers[0].Rejected == 10 })
	w := s.Workers[0]
	if w.Rejects != want {
		t.Errorf("rejects %+v, want %+v", w.Rejects, want)
	}
	ofApps := map[string]stats.RejectStats{}
	for _, a := range w.Apps {
		ofApps[a.Module] = a.Rejects
	}
	if want := (map[string]stats.RejectStats{"echo": {LimitPost: 2}, "gate": {QueueTimeout: 1, ClientGone: 1}}); !reflect.DeepEqual(ofApps, want) {
		t.Errorf("rejects of the apps %+v, want %+v", ofApps, want)
	}
	if w.QueueWait.Count < 2 || w.QueueWait.Sum < 3_000_000 || w.Queued != 0 {
		t.Errorf("%d wait, %d have, for %d µs", w.Queued, w.QueueWait.Count, w.QueueWait.Sum)
	}
}

// timeOutAndLeave has one request answered 503, and one that does not wait for that.
func timeOutAndLeave(t *testing.T, i *servertest.Instance, gate *servertest.Gate) {
	t.Helper()
	web := i.HTTP("http")
	idle := func() *http.Request { // opens the connection while there is a slot
		req, err := http.NewRequest(http.MethodGet, "http://site/gate/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	first, second := i.Dial("http"), i.Dial("http")
	for _, c := range []net.Conn{first, second} { // each is accepted, and then idle
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: site\r\n\r\n")
		if n, err := c.Read(make([]byte, 4096)); n == 0 {
			t.Fatal(err)
		}
	}
	held := make(chan error, 1)
	go func() {
		resp, err := web.Do(idle())
		if err == nil {
			err = resp.Body.Close()
		}
		held <- err
	}()
	i.Until("the slot is busy", func() bool { return gate.Inside() == 1 })
	_, _ = io.WriteString(first, "GET /gate/ HTTP/1.1\r\nHost: site\r\n\r\n")
	i.WaitFor("it waits for the slot", func(s stats.Snapshot) bool { return s.Workers[0].Queued > 0 })
	first.Close()
	i.WaitFor("it is gone", func(s stats.Snapshot) bool { return s.Workers[0].Rejects.ClientGone == 1 })
	_, _ = io.WriteString(second, "GET /gate/ HTTP/1.1\r\nHost: site\r\n\r\n")
	answer := make([]byte, 4096)
	if n, err := second.Read(answer); !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 503 ") {
		t.Errorf("who waits for too long is answered %.60q, %v", answer[:n], err)
	}
	gate.Open()
	if err := <-held; err != nil {
		t.Error(err)
	}
}
