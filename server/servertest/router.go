package servertest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Router runs uWSGI's own http router, which passes every request to the uwsgi
// socket at addr, and returns when it listens on port.
func Router(t testing.TB, port int, addr string, options ...string) {
	t.Helper()
	path := Peer(t, "uwsgi")
	dir := Dir(t)
	args := append([]string{
		"--plugin", "http", "--http", fmt.Sprintf("127.0.0.1:%d", port), "--http-to", addr,
		"--master", "--die-on-term", "--disable-logging",
	}, options...)
	runPeer(t, dir, port, syscall.SIGTERM, exec.Command(path, args...))
}
