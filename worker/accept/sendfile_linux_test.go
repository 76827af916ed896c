package accept

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// forTheKernel is a file that nobody but the kernel may read.
type forTheKernel struct {
	t *testing.T
	f *os.File
}

func (k forTheKernel) Read(p []byte) (int, error) {
	k.t.Errorf("%d bytes of the file are read into this process", len(p))
	return k.f.Read(p)
}

func (k forTheKernel) Stat() (fs.FileInfo, error)            { return k.f.Stat() }
func (k forTheKernel) SyscallConn() (syscall.RawConn, error) { return k.f.SyscallConn() }

// senders runs a test with each kind of connection that sends files, and its peer. Its
// buffer is small, so that a file of some MiB has to wait.
func senders(t *testing.T, test func(t *testing.T, c, peer net.Conn)) {
	small := func(t *testing.T, c, peer net.Conn) {
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if used := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 64<<10) }); used != nil || err != nil {
			t.Fatal(used, err)
		}
		test(t, c, peer)
	}
	t.Run("direct", func(t *testing.T) {
		networks(t, func(t *testing.T, ln net.Listener) {
			client, server := connect(t, ln)
			small(t, server, client)
		})
	})
	t.Run("kept", func(t *testing.T) { keptPairs(t, small) })
}

// unlike gives content whose parts are not mistaken for each other.
func unlike(n int) []byte {
	b := make([]byte, 0, n+4)
	for len(b) < n {
		b = binary.BigEndian.AppendUint32(b, uint32(len(b)))
	}
	return b[:n]
}

func openFile(t *testing.T, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOnlyTheKernelReadsAFile(t *testing.T) {
	content := unlike(4 << 20)
	for name, limit := range map[string]int{"whole": 0, "in part": 3_000_001} {
		t.Run(name, func(t *testing.T) {
			senders(t, func(t *testing.T, c, peer net.Conn) {
				var src io.Reader = forTheKernel{t, openFile(t, content)}
				want := content
				if limit > 0 {
					src, want = io.LimitReader(src, int64(limit)), content[:limit]
				}
				got := make(chan []byte, 1)
				go func() { b, _ := io.ReadAll(peer); got <- b }()
				n, err := io.Copy(c, src)
				c.Close()
				if b := <-got; int(n) != len(want) || err != nil || !bytes.Equal(b, want) {
					t.Errorf("%d bytes are sent (%v), %d arrived, want %d", n, err, len(b), len(want))
				}
			})
		})
	}
}

// fromHere is a file that several read at a time.
type fromHere struct {
	forTheKernel
	offset   *int64
	inMemory bool
}

func (f fromHere) Descriptor() syscall.RawConn {
	raw, err := f.f.SyscallConn()
	if err != nil {
		f.t.Error(err)
	}
	return raw
}
func (f fromHere) Offset() *int64 { return f.offset }
func (f fromHere) InMemory() bool { return f.inMemory }

func TestOneFileIsSentFromSeveralOffsets(t *testing.T) {
	content := unlike(2 << 20)
	for name, inMemory := range map[string]bool{"of a disk": false, "in memory": true} {
		t.Run(name, func(t *testing.T) {
			senders(t, func(t *testing.T, c, peer net.Conn) {
				f := openFile(t, content)
				offsets := [...]int64{0, 1_000_001, 2 << 20}
				var want []byte
				for _, at := range offsets {
					want = append(want, content[at:]...)
				}
				got := make(chan []byte, 1)
				go func() { b, _ := io.ReadAll(peer); got <- b }()
				for i := range offsets {
					left := int64(len(content)) - offsets[i]
					n, err := io.Copy(c, fromHere{forTheKernel{t, f}, &offsets[i], inMemory})
					if n != left || err != nil || offsets[i] != int64(len(content)) {
						t.Errorf("%d bytes are sent of %d, the next is %d: %v", n, left, offsets[i], err)
					}
				}
				c.Close()
				if b := <-got; !bytes.Equal(b, want) {
					t.Errorf("%d bytes arrived, want %d, or others", len(b), len(want))
				}
				if own, err := f.Seek(0, io.SeekCurrent); own != 0 || err != nil {
					t.Errorf("the descriptor's own offset is %d, %v", own, err)
				}
			})
		})
	}
}

// Who goes on after a deadline continues where the peer's last byte was.
func TestAFileGoesOnAfterADeadline(t *testing.T) {
	content := unlike(4 << 20)
	senders(t, func(t *testing.T, c, peer net.Conn) {
		src := &io.LimitedReader{R: forTheKernel{t, openFile(t, content)}, N: int64(len(content))}
		begun := make(chan []byte, 1)
		go func() {
			first := make([]byte, 1)
			_, _ = io.ReadFull(peer, first)
			begun <- first
			_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // before, it could be over too early
		}()
		n, err := io.Copy(c, src) // nobody reads any more
		if n == 0 || src.N != int64(len(content))-n || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes are sent and %d left of %d, %v", n, src.N, len(content), err)
		}
		_ = c.SetWriteDeadline(time.Time{})
		got := make(chan []byte, 1)
		go func() { b, _ := io.ReadAll(peer); got <- append(<-begun, b...) }()
		rest, err := io.Copy(c, src)
		c.Close()
		if b := <-got; n+rest != int64(len(content)) || err != nil || !bytes.Equal(b, content) {
			t.Errorf("%d and %d bytes are sent (%v), %d arrived as they were: %v", n, rest, err, len(b), bytes.Equal(b, content))
		}
	})
}
