package servertest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Apache runs a real Apache httpd with mod_proxy_uwsgi, mod_proxy_http and these
// directives, and returns when it listens on port. Its children give up root for
// www-data, so it reaches an application by TCP only.
func Apache(t testing.TB, port int, directives string) {
	t.Helper()
	path := Peer(t, "apache2")
	dir := Dir(t)
	conf := peerFile(t, dir, "apache.conf", fmt.Sprintf(`ServerRoot %q
ServerName 127.0.0.1
Listen 127.0.0.1:%d
PidFile apache.pid
Mutex posixsem
ErrorLog /dev/stderr
User www-data
Group www-data
LoadModule mpm_event_module %[3]s/mod_mpm_event.so
LoadModule authz_core_module %[3]s/mod_authz_core.so
LoadModule proxy_module %[3]s/mod_proxy.so
LoadModule proxy_uwsgi_module %[3]s/mod_proxy_uwsgi.so
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
ThreadLimit 32
MinSpareThreads 1
MaxSpareThreads 32
%[4]s
`, dir, port, "/usr/lib/apache2/modules", directives))
	runPeer(t, dir, port, syscall.SIGTERM, exec.Command(path, "-D", "FOREGROUND", "-f", conf))
}
