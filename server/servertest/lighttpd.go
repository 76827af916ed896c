package servertest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Lighttpd runs a real lighttpd with mod_scgi and this configuration added, and
// returns when it listens on port.
func Lighttpd(t testing.TB, port int, conf string) {
	t.Helper()
	path := Peer(t, "lighttpd")
	dir := Dir(t)
	file := peerFile(t, dir, "lighttpd.conf", fmt.Sprintf(`server.document-root = %q
server.bind = "127.0.0.1"
server.port = %d
server.upload-dirs = ( %[1]q )
server.errorlog = %[3]q
server.modules = ( "mod_scgi" )
%[4]s
`, dir, port, dir+"/errors", conf))
	runPeer(t, dir, port, syscall.SIGTERM, exec.Command(path, "-D", "-f", file))
}
