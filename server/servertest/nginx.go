package servertest

import (
	"os/exec"
	"syscall"
	"testing"
)

// Nginx runs a real nginx with these directives inside its http block and
// returns when it listens on port. See Peer for what happens without one.
func Nginx(t testing.TB, port int, http string) {
	t.Helper()
	path := Peer(t, "nginx")
	dir := Dir(t)
	conf := peerFile(t, dir, "nginx.conf", `daemon off; master_process off; pid nginx.pid; error_log stderr error; worker_rlimit_nofile 4096;
events { worker_connections 1024; }
http {
	access_log off; client_body_buffer_size 64k;
	client_body_temp_path body; proxy_temp_path proxy; uwsgi_temp_path uwsgi; fastcgi_temp_path fcgi; scgi_temp_path scgi;
	`+http+`
}
`)
	runPeer(t, dir, port, syscall.SIGTERM, exec.Command(path, "-p", dir, "-c", conf, "-e", "stderr"))
}
