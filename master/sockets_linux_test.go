package master

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const peerPIDIsKnown = true

// nonblocking reads the flag that all holders of a socket share.
func nonblocking(t *testing.T, fd int) bool {
	t.Helper()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return flags&syscall.O_NONBLOCK != 0
}

func TestABoundSocketIsNonblockingAndOutsideTheNetpoller(t *testing.T) {
	for _, s := range []Socket{tcp("127.0.0.1:0"), unixSocket(filepath.Join(t.TempDir(), "s"))} {
		b := mustListen(t, s)
		if !nonblocking(t, b.FD()) {
			t.Errorf("%s blocks", b.Name)
		}
		ln, err := b.Listener()
		if err != nil {
			t.Fatal(err)
		}
		if !polled(t, b.FD()) {
			t.Error("the test cannot see what is polled")
		}
		_ = ln.Close()
		if !nonblocking(t, b.FD()) {
			t.Errorf("%s blocks after a listener for it was closed", b.Name)
		}
		if polled(t, b.FD()) {
			t.Errorf("%s would wake this process", b.Name)
		}
	}
}

// polled reports whether an epoll instance of this process waits for the socket, by
// whatever descriptor.
func polled(t *testing.T, fd int) bool {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	infos, _ := filepath.Glob("/proc/self/fdinfo/*")
	for _, info := range infos {
		text, _ := os.ReadFile(info)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "tfd:") && strings.Contains(line, fmt.Sprintf("ino:%x ", st.Ino)) {
				return true
			}
		}
	}
	return false
}

func TestABacklogAboveTheLimitIsCut(t *testing.T) {
	s := tcp("127.0.0.1:0")
	s.Backlog = 1 << 30
	b := mustListen(t, s)
	if limit := backlogLimit(); limit == 0 || b.Clamped != limit || b.Backlog != limit {
		t.Errorf("backlog %d, clamped %d, the limit is %d", b.Backlog, b.Clamped, limit)
	}
	s.Backlog = 5
	if err := b.adjust(s); err != nil || b.Backlog != 5 || b.Clamped != 0 {
		t.Errorf("backlog %d, clamped %d, %v", b.Backlog, b.Clamped, err)
	}
}

func TestATCPSocketIsPlainTCP(t *testing.T) {
	const soProtocol = 38
	b := mustListen(t, tcp("127.0.0.1:0"))
	if proto, err := syscall.GetsockoptInt(b.FD(), syscall.SOL_SOCKET, soProtocol); err != nil || proto != syscall.IPPROTO_TCP {
		t.Errorf("its protocol is %d, %v", proto, err)
	}
}

// TestASocketWithAFullBacklogIsAlive: the kernel then refuses a probe in other words than
// for a stale one, and a busy server must not lose its socket for being busy.
func TestASocketWithAFullBacklogIsAlive(t *testing.T) {
	s := unixSocket(filepath.Join(t.TempDir(), "s"))
	s.Backlog = 1
	b := mustListen(t, s)
	for {
		c, err := net.Dial("unix", b.Name)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	other, err := listen(t.Context(), s, bindPause)
	if err == nil {
		_ = other.Close(true)
	}
	var held *heldError
	if !errors.As(err, &held) {
		t.Errorf("the error is %v", err)
	}
}
