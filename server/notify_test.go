package server

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// notifyReader is systemd's end of the socket.
type notifyReader struct {
	t    *testing.T
	addr string
	conn *net.UnixConn
}

func readNotify(t *testing.T) *notifyReader {
	t.Helper()
	dir, err := os.MkdirTemp("", "ost") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &notifyReader{t: t, addr: filepath.Join(dir, "notify")}
	if r.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: r.addr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r
}

// next is the next datagram.
func (r *notifyReader) next() string {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 8192)
	n, err := r.conn.Read(b)
	if err != nil {
		r.t.Fatalf("no datagram: %v", err)
	}
	return string(b[:n])
}

// end checks that nothing is left: what is sent now is the next to come.
func (r *notifyReader) end() {
	r.t.Helper()
	if err := sendDatagram(r.t.Context(), r.addr, "the end"); err != nil {
		r.t.Fatal(err)
	}
	if m := r.next(); m != "the end" {
		r.t.Errorf("one datagram too many: %q", m)
	}
}

// in is the environment that systemd makes for r.
func (r *notifyReader) in(more ...string) func(string) string {
	return func(name string) string {
		for n := 0; n < len(more); n += 2 {
			if more[n] == name {
				return more[n+1]
			}
		}
		if name == "NOTIFY_SOCKET" {
			return r.addr
		}
		return ""
	}
}

func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano() / 1000
}

// untimed checks the time of a RELOADING=1 and takes it out.
func untimed(t *testing.T, m string, since int64) string {
	t.Helper()
	at := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=([0-9]+)$`).FindStringSubmatch(m)
	if at == nil {
		return m
	}
	if usec, err := strconv.ParseInt(at[1], 10, 64); err != nil || usec < since || usec > monotonic() {
		t.Errorf("MONOTONIC_USEC=%s is not between %d and now, %d", at[1], since, monotonic())
	}
	return "RELOADING=1"
}

// lines is a log, a line each.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func newLines() (lines, hclog.Logger) {
	l := make(lines, 16)
	return l, hclog.New(&hclog.LoggerOptions{Output: l})
}

func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(patience):
		t.Fatal("the log says nothing")
		return ""
	}
}

// inTime fails if f hangs.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s hangs", what)
	}
}

// While the socket is full the log says so, once; when it is read again, nothing is lost.
func TestNotifyWaitsForAFullSocket(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	l, log := newLines()
	n := newNotifySocket(r.addr, log)
	n.patience = time.Millisecond // no datagram is under way yet
	const many = maxUnsent - 1
	inTime(t, "post", func() {
		for i := range many {
			n.post(datagram{text: strconv.Itoa(i)})
		}
	})
	if line := l.next(t); !strings.Contains(line, "[WARN]") || !strings.Contains(line, errFull.Error()) {
		t.Errorf("the log says %q", line)
	}
	for i := range many {
		if got := r.next(); got != strconv.Itoa(i) {
			t.Fatalf("datagram %d is %q", i, got)
		}
	}
	n.close()
	r.end()
	if len(l) > 0 {
		t.Errorf("the log says more than once: %q", <-l)
	}
}

// A reader that hangs for ever costs the oldest datagrams and no memory, and a moment at
// the end.
func TestNotifyGivesUpOnAFullSocket(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	_, log := newLines()
	n := newNotifySocket(r.addr, log)
	const many = 3 * maxUnsent
	inTime(t, "post", func() {
		for i := range many {
			n.post(datagram{text: strconv.Itoa(i)})
		}
	})
	for last := -1; last < many-1; {
		got, err := strconv.Atoi(r.next())
		if err != nil || got <= last {
			t.Fatalf("%d (%v) came after %d", got, err, last)
		}
		last = got
	}
	for i := range many {
		n.post(datagram{text: strconv.Itoa(i)})
	}
	inTime(t, "close", n.close)
}

func TestNotifyWithoutASocket(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	l, log := newLines()
	n := newNotifySocket(r.addr+".gone", log)
	n.post(datagram{text: "one"})
	n.post(datagram{text: "two"})
	inTime(t, "close", n.close)
	if line := l.next(t); !strings.Contains(line, "[WARN]") || !strings.Contains(line, "no such file") {
		t.Errorf("the log says %q", line)
	}
	if len(l) > 0 {
		t.Errorf("the log says more than once: %q", <-l)
	}
}
