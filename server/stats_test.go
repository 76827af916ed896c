package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// page fetches one of the stats address. A client that is slow with its request, as this one
// may be on a busy machine, gets the stats in another dialect, and asks again.
func page(t *testing.T, i *servertest.Instance, addr, path string) (status int, body string) {
	t.Helper()
	rt := i.HTTP(addr).Transport
	i.Until(path+" is answered over http", func() bool {
		resp, text, err := fetch(rt, "http://stats"+path)
		if err == nil {
			status, body = resp.StatusCode, text
		} else if !strings.Contains(err.Error(), "malformed HTTP response") {
			t.Fatal(err)
		}
		return err == nil
	})
	return status, body
}

// output is what a peer that succeeds has printed. uwsgi prints a document on its standard
// error.
func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, servertest.Peer(t, name), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return out
}

// One address, and each client in the dialect it speaks.
func TestRealClientsReadTheStats(t *testing.T) {
	t.Parallel()
	port := fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	abstract := fmt.Sprintf("@ostler-stats-%d", os.Getpid())
	for name, c := range map[string]struct{ addr, curl string }{
		"tcp":      {port, ""},
		"unix":     {"$DIR/stats", "--unix-socket"},
		"abstract": {abstract, "--abstract-unix-socket"},
	} {
		t.Run(name, func(t *testing.T) {
			i := servertest.Start(t, fmt.Sprintf("stats = %q\n", c.addr)+echoing, apps()...)
			addr := strings.ReplaceAll(c.addr, "$DIR", i.Dir)
			if c.addr != abstract { // uwsgi looks for those under a name of another length
				var s stats.Snapshot
				if err := json.Unmarshal(output(t, "uwsgi", "--connect-and-read", addr), &s); err != nil || s.PID != os.Getpid() || len(s.Workers) != 2 {
					t.Errorf("uwsgi --connect-and-read: %v, %+v", err, s)
				}
			}
			args, host := []string{"-sS", "-i"}, addr
			if c.curl != "" {
				args, host = append(args, c.curl, strings.TrimPrefix(addr, "@")), "localhost"
			}
			for path, want := range map[string]string{
				"/": `"workers": [`, "/stats": `"workers": [`, "/workers": `"pid": `, "/metrics": "\nostler_workers_ready 2\n",
				"/metrics?compat=uwsgi_exporter": "\nuwsgi_workers{stats_uri=", "/healthz": "\nalive\n",
				"/readyz": "\nserving: 2 of 2 workers accept requests\n",
			} {
				if got := string(output(t, "curl", append(args, "http://"+host+path)...)); !strings.HasPrefix(got, "HTTP/1.1 200 OK") || !strings.Contains(got, want) {
					t.Errorf("curl %s: %s", path, got)
				}
			}
		})
	}
}

// Prometheus' own judge of names, units and help has nothing to say.
func TestPromtoolHasNoComplaint(t *testing.T) {
	t.Parallel()
	promtool := servertest.Peer(t, "promtool")
	i := servertest.Launch(t, echoing)
	if err := servertest.Echo(i.HTTP("http").Transport, "http://site/")(); err != nil {
		t.Fatal(err)
	}
	if out, code := i.Command("reload"); code != 0 {
		t.Fatalf("reload: %s", out)
	}
	for _, path := range []string{"/metrics", "/metrics?compat=uwsgi_exporter"} {
		_, text := page(t, i, "stats", path)
		if !strings.Contains(text, `ostler_reloads_total{result="ok"} 1`) || !strings.Contains(text, `ostler_requests_total{app="echo",code="2xx"} 1`) {
			t.Errorf("%s: %s", path, text)
		}
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: promtool check metrics: %v\n%s", path, err, out)
		}
	}
}

// A load balancer is told first: the server is not ready, and serves on; then it stops in order.
// A second stop does not wait for that.
func TestALameDuckServesOn(t *testing.T) {
	t.Parallel()
	for duration, signals := range map[string]int{"6s": 1, "1h": 2} {
		i := servertest.Launch(t, echoing+"lame-duck = \""+duration+"\"\n")
		load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
		i.Signal(syscall.SIGTERM)
		i.Until("not ready, and serving", func() bool {
			status, body := page(t, i, "stats", "/readyz")
			return status == http.StatusServiceUnavailable && body == "lame-duck: 2 of 2 workers accept requests\n"
		})
		told := load.Done()
		i.Until("requests are answered", func() bool { return load.Done() > told+20 })
		if out, code := i.Command("reload"); code != 1 || !strings.Contains(out, "stopping") {
			t.Errorf("a reload: %d %s", code, out)
		}
		load.MustLoseNothing()
		if signals > 1 {
			if out, code := i.Command("stop"); code != 0 {
				t.Errorf("a second stop: %d %s", code, out)
			}
		}
		if err := i.Wait(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

func TestReadyzFollowsTheWorkers(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(echoing, `"echo"`, `"gate"`, 1)+"[env]\nGATE = \"$DIR/gate\"\n")
	gate := servertest.NewGate(t, i.Dir)
	if status, body := page(t, i, "stats", "/readyz"); status != http.StatusOK {
		t.Fatalf("after the start: %d %s", status, body)
	}
	unready := func(while string) func() bool {
		return func() bool {
			status, body := page(t, i, "stats", "/readyz")
			return status == http.StatusServiceUnavailable && strings.Contains(body, while)
		}
	}
	// A worker that dies again and again is started again later and later.
	i.Until("not ready without worker 1", func() bool {
		if pid := i.Stats().Workers[0].PID; pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return unready("serving: 1 of 2 workers")()
	})
	i.Until("ready with its successor", func() bool {
		status, _ := page(t, i, "stats", "/readyz")
		return status == http.StatusOK
	})
	answered := make(chan error, 1)
	go func() { answered <- through(i.HTTP("http").Transport) }()
	i.Until("a handler runs", func() bool { return gate.Inside() == 1 })
	i.Signal(syscall.SIGTERM)
	i.Until("not ready while it stops", unready("stopping: "))
	if status, body := page(t, i, "stats", "/healthz"); status != http.StatusOK {
		t.Errorf("a master that stops is alive: %d %s", status, body)
	}
	gate.Open()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := i.Wait(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestReadyzSaysNoDuringTheStart(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	config := filepath.Join(dir, "app.toml")
	text := fmt.Sprintf("module = \"hangs-at-start\"\nprocesses = 1\nstats = %q\nhttp-socket = %q\nlogto = %q\nreq-logger = %q\n",
		dir+"/stats", dir+"/http", dir+"/log", dir+"/access")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, server.Options{Config: config, Apps: apps()}) }()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", dir+"/stats")
	}}
	var body string
	for end := time.Now().Add(time.Minute); !strings.HasPrefix(body, "starting: 0 of 1 workers"); {
		if time.Now().After(end) {
			t.Fatalf("/readyz: %s", body)
		}
		req, err := http.NewRequest(http.MethodGet, "http://stats/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			continue // it does not listen yet
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if body = string(text); resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("/readyz: %s, %s", resp.Status, body)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("a start that was given up: %v", err)
	}
}

// 200 clients that connect to the stats and read nothing, half of which ask for a page
// first, change nothing for those who send requests, reload, or read.
func TestStatsReadersThatNeverReadDisturbNobody(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, echoing)
	load := servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/"))
	for n := range 200 {
		c, err := net.Dial("unix", filepath.Join(i.Dir, "stats"))
		if err != nil {
			t.Fatalf("reader %d: %v", n, err)
		}
		defer c.Close()
		if n%2 == 0 {
			_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if n%40 == 39 {
			if status, text := page(t, i, "stats", "/metrics"); status != http.StatusOK || !strings.Contains(text, "ostler_workers_ready 2") {
				t.Errorf("beside %d of them: %d %s", n+1, status, text)
			}
		}
	}
	if out, code := i.Command("reload"); code != 0 {
		t.Errorf("reload: %s", out)
	}
	if s := i.Stats(); s.Generation != 2 || s.Ready != 2 {
		t.Errorf("generation %d, %d ready", s.Generation, s.Ready)
	}
	before := load.Done()
	i.Until("requests go on", func() bool { return load.Done() > before+10 })
	load.MustLoseNothing()
}
