package stats

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// short makes a listener with a queue of so many.
func short(t *testing.T, domain int, addr unix.Sockaddr, backlog int) int {
	t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, addr); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestOverflowsOfAFullQueueAreCounted(t *testing.T) {
	fd := short(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 1)
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if n := QueueOverflows(fd); n != 0 {
		t.Errorf("%d overflows before any connection", n)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, stop := context.WithTimeout(t.Context(), deadline)
	defer stop()
	for range 4 { // two find a place, two do not
		clients.Go(func() {
			if c, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
				<-ctx.Done()
				c.Close()
			}
		})
	}
	for end := time.Now().Add(deadline); QueueOverflows(fd) < 2; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d overflows, a queue of %d", QueueOverflows(fd), QueueLength(fd))
		}
	}
}

func TestAFullUnixQueueIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd := short(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, 3)
	full := false
	for range 10 {
		c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(c)
		if err := unix.Connect(c, &unix.SockaddrUnix{Name: path}); err == unix.EAGAIN {
			full = true
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := QueueLength(fd); !full || n != 4 { // the kernel takes one more than it was told
		t.Errorf("full: %v, a queue of %d, want 4", full, n)
	}
	if n := QueueOverflows(fd); n != 0 {
		t.Errorf("a unix socket has %d overflows: nobody counts them", n)
	}
}

func FuzzParseDiag(f *testing.F) {
	answer := diagRequest(7)[:unix.NLMSG_HDRLEN]
	answer = append(answer, unix.AF_UNIX, unix.SOCK_STREAM, unix.BPF_TCP_LISTEN, 0)
	answer = append(answer, make([]byte, 12)...)
	f.Add(answer)
	order := binary.NativeEndian
	other := order.AppendUint16(order.AppendUint16(answer[:len(answer):len(answer)], 5), 6) // of an odd length
	other = append(other, 0, 0, 0, 0)
	queue := order.AppendUint16(order.AppendUint16(other, 12), attributeQueue)
	queue = order.AppendUint32(order.AppendUint32(queue, 42), 128)
	f.Add(queue)
	if n := parseDiag(queue); n != 42 {
		f.Errorf("a queue of 42 is read as %d", n)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if n := parseDiag(in); n != 0 && len(in) < unix.NLMSG_HDRLEN+diagMessageSize+12 {
			t.Errorf("a queue of %d in % x", n, in)
		}
	})
}

func TestTheQueueOfASocketThatDoesNotListen(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if _, err := unix.Write(pair[1], make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if n := QueueLength(pair[0]); n != 0 {
		t.Errorf("a connection has a queue of %d", n)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := QueueLength(int(f.Fd())); n != 0 {
		t.Errorf("%s has a queue of %d", os.DevNull, n)
	}
}
