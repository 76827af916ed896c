package servertest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Peer finds a program that a test needs as the other side. It is a failure that
// it is missing when OSTLER_REQUIRE_PEERS is set (as in CI); otherwise the test
// is skipped.
func Peer(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("OSTLER_REQUIRE_PEERS") != "" {
		t.Fatalf("%s is not installed, and here it has to be (.ci/deps.sh installs it)", name)
	}
	t.Skipf("%s is not installed (.ci/deps.sh installs it)", name)
	return ""
}

// peerFile writes a peer's configuration into its folder.
func peerFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// runPeer starts a peer that stays in the foreground, waits until it listens on
// port, and ends it with stop after the test. What it prints is shown if the
// test fails: front ends complain about requests that tests mean to be bad.
func runPeer(t testing.TB, dir string, port int, stop syscall.Signal, cmd *exec.Cmd) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		<-ended
		out.Close()
		if said, _ := os.ReadFile(out.Name()); t.Failed() && len(said) > 0 {
			t.Logf("%s said:\n%.4096s", filepath.Base(cmd.Path), said)
		}
	})
	awaitPort(t, port, ended)
}

func awaitPort(t testing.TB, port int, ended chan error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the peer ended before it listened: %v", err)
		default:
		}
	}
	t.Fatalf("nobody listens on port %d", port)
}
