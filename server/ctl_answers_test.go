package server

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// When the control socket is closed the process ends. What is not written by then never is.
func TestEveryStopIsAnsweredBeforeTheEnd(t *testing.T) {
	t.Parallel()
	const clients = 64
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "ctl"))
	if err != nil {
		t.Fatal(err)
	}
	ended, asked := make(chan struct{}), make(chan struct{}, clients)
	commands := &waiting{}
	c := &ctl{stop: func(bool) { asked <- struct{}{} }, ended: ended, commands: commands, log: hclog.NewNullLogger()}
	srv := c.server()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	var conns []net.Conn
	for range clients {
		conn, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("POST " + ctlStop + " HTTP/1.1\r\nHost: control\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for range clients {
		<-asked
	}
	close(ended)
	endControl(srv, commands)
	for i, conn := range conns {
		if got := there(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, `{"pid":`) {
			t.Errorf("client %d was answered %q", i, got)
		}
	}
	commands.release()
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// there reads what has arrived, without waiting.
func there(t *testing.T, conn net.Conn) string {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n := 0
	if err := raw.Control(func(fd uintptr) { n, _, _ = syscall.Recvfrom(int(fd), b, syscall.MSG_DONTWAIT) }); err != nil {
		t.Fatal(err)
	}
	return string(b[:max(n, 0)])
}
