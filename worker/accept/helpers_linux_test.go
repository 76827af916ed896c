package accept

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// awaitAttached returns when somebody waits on c in the runtime's poller, or is about to.
func awaitAttached(t testing.TB, c net.Conn) {
	t.Helper()
	conn := c.(*Conn)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		conn.mu.Lock()
		attached := conn.file != nil
		conn.mu.Unlock()
		if attached {
			return
		}
		if time.Now().After(end) {
			t.Fatal("nobody waits")
		}
	}
}

func mustDup(t *testing.T, fd int) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return dup
}
