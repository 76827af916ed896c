package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for an event; reaching it is a failure.
const patience = 30 * time.Second

// deployment is a copy of this folder in which every address is a free one: site and
// nginx are started in it from their own files, as the heads of those files say.
type deployment struct {
	t      *testing.T
	dir    string
	binary string
	addr   map[string]string // address in the files of the repository → address here
	client *http.Client
}

func newDeployment(t *testing.T, binary string) *deployment {
	t.Helper()
	dir, err := os.MkdirTemp("", "site") // short: a unix socket's path must fit 104 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // nginx started by root reads static/ as its own user
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}
	d := &deployment{t: t, dir: dir, binary: binary, addr: map[string]string{}, client: &http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	d.layOut()
	return d
}

// in makes a subtest of a test of the same running deployment.
func (d *deployment) in(test func(*deployment)) func(*testing.T) {
	return func(t *testing.T) {
		here := *d
		here.t = t
		test(&here)
	}
}

// layOut copies the shipped files, with a free port in place of each address in them.
func (d *deployment) layOut() {
	shipped := []string{"127.0.0.1:8080", "127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002",
		"127.0.0.1:9191", "127.0.0.1:9192"}
	var pairs []string
	for _, a := range shipped {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			d.t.Fatal(err)
		}
		defer ln.Close() // after all are chosen, so that no two are the same
		d.addr[a] = ln.Addr().String()
		pairs = append(pairs, a, d.addr[a])
	}
	files, _ := filepath.Glob("*.toml")
	configurations, _ := filepath.Glob("nginx/*.conf")
	for _, sub := range []string{"run", "nginx"} {
		if err := os.Mkdir(filepath.Join(d.dir, sub), 0o755); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, name := range append(files, configurations...) {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(d.dir, name), []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o644)
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// command prepares a program that ends by itself. WaitDelay: a daemon that kept the
// terminal of the command that started it would otherwise keep the test, too.
func (d *deployment) command(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	d.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = d.dir, patience
	return cmd
}

// run runs a command of the site's binary to its end and wants exit code 0.
func (d *deployment) run(args ...string) {
	d.t.Helper()
	if out, err := d.command(d.binary, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("site %s: %v\n%s\n%s", strings.Join(args, " "), err, out, d.logs())
	}
}

// foreground starts a program that stays, its output in run/<name>.log. ended receives
// its end; the cleanup ends it by stop, and waits.
func (d *deployment) foreground(name string, stop func(*os.Process), program string, args ...string) (ended chan error) {
	d.t.Helper()
	log, err := os.Create(filepath.Join(d.dir, "run", name+".log"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, log, log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	d.t.Cleanup(func() {
		stop(cmd.Process)
		select {
		case err := <-ended:
			if err != nil {
				d.t.Errorf("%s ended with %v\n%s", name, err, d.logs())
			}
		case <-time.After(patience):
			d.t.Errorf("%s does not end\n%s", name, d.logs())
			cmd.Process.Kill()
			<-ended
		}
	})
	return ended
}

// startSite starts one instance in the way its file says, in the background or not, and
// returns once it says of itself that it serves. It is stopped at the end of the test.
func (d *deployment) startSite(config string) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, config))
	if err != nil {
		d.t.Fatal(err)
	}
	d.run("collectstatic", "--config", config)
	if strings.Contains(string(text), "daemonize") {
		d.run("--config", config) // comes back when a worker is ready
		d.t.Cleanup(func() { d.stopSite(config) })
		return
	}
	d.foreground("site", func(*os.Process) { d.stopSite(config) }, d.binary, "--config", config)
	d.eventually("pidfile of "+config, func() bool { return d.pid(config) != 0 })
}

// stopSite stops an instance if it runs, and wants it to leave nothing behind.
func (d *deployment) stopSite(config string) {
	d.t.Helper()
	pid := d.pid(config)
	if pid == 0 {
		return
	}
	if out, err := d.command(d.binary, "stop", "--config", config).CombinedOutput(); err != nil {
		d.t.Errorf("site stop --config %s: %v\n%s\n%s", config, err, out, d.logs())
		syscall.Kill(pid, syscall.SIGKILL)
	}
	// vacuum: the pidfile and the control socket beside it. Another instance's stay.
	if left, _ := filepath.Glob(d.pidfile(config) + "*"); len(left) > 0 {
		d.t.Errorf("site stop --config %s left %v", config, left)
	}
}

func (d *deployment) pidfile(config string) string {
	return filepath.Join(d.dir, "run", strings.TrimSuffix(config, ".toml")+".pid")
}

// pid reads the instance's pidfile; 0 if there is none.
func (d *deployment) pid(config string) int {
	text, _ := os.ReadFile(d.pidfile(config))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// startNginx starts nginx in the foreground from nginx/<name>.conf, and returns once the
// page is there through it.
func (d *deployment) startNginx(name string) {
	d.t.Helper()
	conf := "nginx/" + name + ".conf"
	if out, err := d.command("nginx", "-e", "stderr", "-p", d.dir+"/", "-c", conf, "-t").CombinedOutput(); err != nil {
		d.t.Fatalf("nginx -t -c %s: %v\n%s", conf, err, out)
	}
	ended := d.foreground("nginx", func(p *os.Process) { p.Signal(syscall.SIGTERM) },
		"nginx", "-e", "stderr", "-p", d.dir+"/", "-c", conf, "-g", "daemon off;")
	d.eventually("page through nginx", func() bool {
		select {
		case err := <-ended:
			ended <- err // the cleanup wants it, too
			d.t.Fatalf("nginx -c %s ended: %v\n%s", conf, err, d.logs())
		default:
		}
		res, err := d.client.Get("http://" + d.addr["127.0.0.1:8080"] + "/")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// eventually waits until what holds, asking again and again; there is no event to wait
// for in a process of another program.
func (d *deployment) eventually(what string, holds func() bool) {
	d.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("no %s after %s\n%s", what, patience, d.logs())
		}
	}
}

func (d *deployment) logs() string {
	var all strings.Builder
	names, _ := filepath.Glob(filepath.Join(d.dir, "run", "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		all.WriteString("--- " + filepath.Base(name) + "\n")
		all.Write(text[max(0, len(text)-4000):])
	}
	return all.String()
}

// snapshot is what these tests read of the stats, as any uWSGI tool would.
type snapshot struct {
	Workers []struct {
		PID, Requests, Exceptions int
		Cores                     []struct {
			InRequest int `json:"in_request"`
		}
	}
}

func (s snapshot) requests() (n int) {
	for _, w := range s.Workers {
		n += w.Requests
	}
	return n
}

func (s snapshot) exceptions() (n int) {
	for _, w := range s.Workers {
		n += w.Exceptions
	}
	return n
}

func (s snapshot) busy() (n int) {
	for _, w := range s.Workers {
		for _, c := range w.Cores {
			n += c.InRequest
		}
	}
	return n
}

func (s snapshot) pids() (pids []int) {
	for _, w := range s.Workers {
		pids = append(pids, w.PID)
	}
	return pids
}

// stats reads them as uwsgitop does, without a word of http: there is no time that the request
// could miss.
func (d *deployment) stats(shipped string) (s snapshot) {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr[shipped])
	if err != nil {
		d.t.Fatalf("stats: %v", err)
	}
	defer c.Close()
	err = errors.Join(c.SetDeadline(time.Now().Add(patience)), c.(*net.TCPConn).CloseWrite())
	if err := errors.Join(err, json.NewDecoder(c).Decode(&s)); err != nil {
		d.t.Fatalf("stats: %v", err)
	}
	return s
}

// requirePeer looks for a program of another project: without it the test is skipped, or
// fails where OSTLER_REQUIRE_PEERS says that it must be there.
func requirePeer(t *testing.T, program string) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	_, err := exec.LookPath(program)
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("OSTLER_REQUIRE_PEERS") == "":
		t.Skipf("%s is not installed; make test installs it", program)
	case err != nil:
		t.Fatal(err)
	}
}
