package accept

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// keptPairs runs a test over TCP and over a unix socket, with a connection that came from Keep
// and its peer.
func keptPairs(t *testing.T, test func(t *testing.T, c, peer net.Conn)) {
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			inner, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			ln := Keep(inner)
			defer ln.Close()
			peer, err := net.Dial(network, inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			c, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, ok := c.(*kept); !ok {
				t.Fatalf("it is a %T", c)
			}
			test(t, c, peer)
		})
	}
}

// Both directions at once, each far longer than a socket's buffer.
func TestKeptConnectionCarriesWhatIsLongerThanAnyBuffer(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		want := bytes.Repeat([]byte("0123456789abcdef."), 1<<20)
		var both sync.WaitGroup
		for _, way := range [][2]net.Conn{{c, peer}, {peer, c}} {
			both.Go(func() {
				if n, err := way[0].Write(want); n != len(want) || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			})
			both.Go(func() {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, equal %v", err, bytes.Equal(got, want))
				}
			})
		}
		both.Wait()
	})
}

func TestKeptConnectionEndsAsOthersDo(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		if err := c.(socket).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(peer); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		peer.Close()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := c.Read(nil); n != 0 || err != nil {
			t.Errorf("a read of nothing: %d, %v", n, err)
		}
		_, err := c.Write([]byte("x"))
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || op.Op != "write" || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%v, want a broken pipe", err)
		}
	})
}

func TestDeadlinesEndTheCallsOfAKeptConnection(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "read" || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		n, err := c.Write(make([]byte, 64<<20))
		if n == 64<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", n, err)
		}
		_ = c.SetDeadline(time.Time{})
		go peer.Write([]byte("x"))
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("behind the deadline: %d, %v", n, err)
		}
	})
}

func TestCloseEndsTheReadOfAKeptConnection(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		ended := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		c.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestKeptConnectionSendsFiles(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		path := filepath.Join(t.TempDir(), "file")
		want := bytes.Repeat([]byte("file"), 1<<18)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		go func() { io.Copy(c, f); c.Close() }()
		if got, err := io.ReadAll(peer); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
		}
	})
}

func TestReadAndWriteOfAKeptConnectionAllocateNothing(t *testing.T) {
	keptPairs(t, func(t *testing.T, c, peer net.Conn) {
		b := make([]byte, 100)
		n := testing.AllocsPerRun(100, func() {
			for _, way := range [][2]net.Conn{{c, peer}, {peer, c}} {
				if _, err := way[0].Write(b); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(way[1], b); err != nil {
					t.Fatal(err)
				}
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestKeepTakesSocketsOnly(t *testing.T) {
	ln := struct{ net.Listener }{}
	if got := Keep(ln); got != net.Listener(ln) {
		t.Errorf("it became a %T", got)
	}
}
