package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
)

// patience bounds every wait for an event; reaching it is a failure.
const patience = time.Minute

// network is three machines and a balancer, each a network namespace, on one wire.
type network struct {
	t      *testing.T
	dir    string
	prefix string // of the names of namespaces
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	servertest.Peer(t, "ip")
	servertest.Peer(t, "nginx")
	if os.Geteuid() != 0 {
		skip(t, "only root makes network namespaces")
	}
	n := &network{t: t, dir: servertest.Dir(t), prefix: fmt.Sprintf("ostler%d", os.Getpid())}
	n.add("lb")
	n.ip("-n", n.name("lb"), "link", "add", "wire", "type", "bridge")
	n.ip("-n", n.name("lb"), "addr", "add", "10.77.0.254/24", "dev", "wire")
	n.ip("-n", n.name("lb"), "link", "set", "wire", "up")
	for k := 1; k <= 3; k++ {
		host := n.add(fmt.Sprint(k))
		port := fmt.Sprintf("host%d", k) // its end of the wire at the balancer
		n.ip("link", "add", port, "netns", n.name("lb"), "type", "veth", "peer", "name", "eth0", "netns", host)
		n.ip("-n", n.name("lb"), "link", "set", port, "master", "wire", "up")
		n.ip("-n", host, "addr", "add", fmt.Sprintf("10.77.0.%d/24", k), "dev", "eth0")
		n.ip("-n", host, "link", "set", "eth0", "up")
	}
	return n
}

func (n *network) name(machine string) string { return n.prefix + machine }

func (n *network) add(machine string) string {
	name := n.name(machine)
	n.ip("netns", "add", name)
	n.t.Cleanup(func() { n.ip("netns", "del", name) }) // its interfaces go with it
	n.ip("-n", name, "link", "set", "lo", "up")
	return name
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// on prepares a program of a machine.
func (n *network) on(machine string, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name(machine), program}, args...)...)
	cmd.Dir = n.dir
	return cmd
}

// start runs a program of a machine until the test ends.
func (n *network) start(cmd *exec.Cmd) {
	n.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	n.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // ip became the program
		<-ended
		if n.t.Failed() {
			n.t.Logf("%v\n%.4096s", cmd.Args, &out)
		}
	})
}

// host starts the site on a machine. All read the same file, each in a folder of its own.
func (n *network) host(binary, machine string) {
	n.t.Helper()
	dir := filepath.Join(n.dir, machine)
	text, err := os.ReadFile("host.toml")
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Join(dir, "run"), 0o755), os.WriteFile(filepath.Join(dir, "host.toml"), text, 0o644))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := n.on(machine, binary, "--config", filepath.Join(dir, "host.toml"))
	cmd.Env = append(os.Environ(), "HOST=host"+machine)
	n.start(cmd)
	until(n.t, "host "+machine+" serves", func() bool {
		pid, err := os.ReadFile(filepath.Join(dir, "run", "pid"))
		return err == nil && len(pid) > 0
	})
}

// command runs a command of the site on a machine.
func (n *network) command(binary, machine, name string) {
	n.t.Helper()
	if out, err := n.on(machine, binary, name, "--config", filepath.Join(n.dir, machine, "host.toml")).CombinedOutput(); err != nil {
		n.t.Errorf("%s on host %s: %v\n%s", name, machine, err, out)
	}
}

// balance starts nginx from nginx.conf, but for where it listens: the test is on no machine of
// the network, and a unix socket is everywhere. A minute of patience with a machine that vanished
// in the middle of a request is long for a test.
func (n *network) balance() *http.Client {
	n.t.Helper()
	part, err := os.ReadFile("nginx.conf")
	if err != nil {
		n.t.Fatal(err)
	}
	front := filepath.Join(n.dir, "front")
	text := strings.NewReplacer("listen               80;", "listen unix:"+front+";", "read_timeout 60s", "read_timeout 3s").Replace(string(part))
	whole := "daemon off; pid nginx.pid; error_log stderr error; events {}\nhttp { access_log off; client_body_temp_path body; proxy_temp_path proxy; uwsgi_temp_path uwsgi; fastcgi_temp_path fcgi; scgi_temp_path scgi;\n" + text + "}\n"
	conf := filepath.Join(n.dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(whole), 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.start(n.on("lb", "nginx", "-p", n.dir, "-e", "stderr", "-c", conf))
	until(n.t, "nginx listens", func() bool {
		c, err := net.Dial("unix", front)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", front)
	}, MaxIdleConnsPerHost: 16}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// clients ask until they are stopped, and count who answered.
type clients struct {
	stop    context.CancelFunc
	wg      sync.WaitGroup
	answers [4]atomic.Int64 // by host
	failed  atomic.Int64
	first   atomic.Value // an error
}

func ask(client *http.Client, count int) *clients {
	ctx, cancel := context.WithCancel(context.Background())
	c := &clients{stop: cancel}
	for range count {
		c.wg.Go(func() {
			for ctx.Err() == nil {
				c.note(one(client))
			}
		})
	}
	return c
}

func one(client *http.Client) (host int, err error) {
	res, err := client.Get("http://site.example/")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err == nil {
		_, err = fmt.Sscanf(string(body), "host%d\n", &host)
	}
	return host, err
}

func (c *clients) note(host int, err error) {
	if err != nil {
		c.failed.Add(1)
		c.first.CompareAndSwap(nil, err.Error())
		return
	}
	c.answers[host].Add(1)
}

// Weights are kept; then a machine is cut off, one is reloaded, one is stopped, while clients ask.
func TestNoRequestFailsWhenAMachineDoes(t *testing.T) {
	n := newNetwork(t)
	binary := filepath.Join(n.dir, "loadbalance")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, machine := range []string{"1", "2", "3"} {
		n.host(binary, machine)
	}
	client := n.balance()
	checkWeights(t, client)
	c := ask(client, 4)
	defer c.stop()
	more := func(what string, hosts ...int) {
		t.Helper()
		var seen [4]int64
		for h := range seen {
			seen[h] = c.answers[h].Load()
		}
		until(t, what, func() bool {
			for _, h := range hosts {
				if c.answers[h].Load() < seen[h]+20 {
					return false
				}
			}
			return true
		})
	}
	more("all three answer", 1, 2, 3)
	n.ip("-n", n.name("lb"), "link", "set", "host3", "down")
	more("the others go on while one is cut off", 1, 2)
	n.command(binary, "2", "reload")
	more("the others go on after a reload", 1, 2)
	n.ip("-n", n.name("lb"), "link", "set", "host3", "up")
	more("it is back", 1, 2, 3)
	n.command(binary, "1", "stop")
	more("the others go on without the stopped one", 2, 3)
	c.stop()
	c.wg.Wait()
	t.Logf("answers by host: %d %d %d", c.answers[1].Load(), c.answers[2].Load(), c.answers[3].Load())
	if n := c.failed.Load(); n > 0 {
		t.Errorf("%d requests failed, the first: %v", n, c.first.Load())
	}
}

// checkWeights: of 5 requests in a row host 1 gets 3, to the request.
func checkWeights(t *testing.T, client *http.Client) {
	t.Helper()
	var answers [4]int
	for range 500 {
		host, err := one(client)
		if err != nil {
			t.Fatal(err)
		}
		answers[host]++
	}
	if answers != [4]int{0, 300, 100, 100} {
		t.Errorf("hosts answered %v of 500, want 300, 100, 100", answers[1:])
	}
}

func until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !seen(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never seen: %s", what)
		}
	}
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("OSTLER_REQUIRE_PEERS") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
