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

// Nginx runs a real nginx with these directives inside its http block and
// returns when it listens on port. It is a failure that nginx is missing, when
// OSTLER_REQUIRE_PEERS is set (as in CI); otherwise the test is skipped.
func Nginx(t testing.TB, port int, http string) {
	t.Helper()
	path := Peer(t, "nginx")
	dir := Dir(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := `daemon off; master_process off; pid nginx.pid; error_log stderr error; worker_rlimit_nofile 4096;
events { worker_connections 1024; }
http {
	access_log off; client_body_buffer_size 64k;
	client_body_temp_path body; proxy_temp_path proxy; uwsgi_temp_path uwsgi; fastcgi_temp_path fcgi; scgi_temp_path scgi;
	` + http + `
}
`
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
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

// Peer finds a program that a test needs as the other side.
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
