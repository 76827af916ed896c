package accept

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// networks are those a Conn must behave the same on.
func networks(t *testing.T, test func(t *testing.T, ln net.Listener)) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			ln := listen(t, network)
			test(t, ln)
		})
	}
}

func listen(t testing.TB, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	inner, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := Listen(inner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func dial(t testing.TB, ln net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect gives both ends of a connection.
func connect(t testing.TB, ln net.Listener) (client, server net.Conn) {
	t.Helper()
	client = dial(t, ln)
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func TestBytesGoBothWays(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		client, server := connect(t, ln)
		echoed := make(chan error, 1)
		go func() {
			_, err := io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{server})
			echoed <- errors.Join(err, server.Close())
		}()
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // far more than the socket's buffers
		go func() {
			_, _ = client.Write(sent)
			_ = client.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(client)
		if err := errors.Join(err, <-echoed); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back of %d", len(got), len(sent))
		}
	})
}

func TestReadWaitsForItsBytes(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		client, server := connect(t, ln)
		read := make(chan string, 1)
		go func() {
			b := make([]byte, 8)
			n, _ := server.Read(b)
			read <- string(b[:n])
		}()
		awaitAttached(t, server)
		if _, err := client.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		if got := <-read; got != "late" {
			t.Errorf("read %q", got)
		}
	})
}

func TestCloseInterruptsARead(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		_, server := connect(t, ln)
		ended := make(chan error, 1)
		go func() { _, err := server.Read(make([]byte, 1)); ended <- err }()
		awaitAttached(t, server)
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the read ended with %v", err)
		}
		for name, err := range map[string]error{
			"second Close": server.Close(),
			"Read":         second(server.Read(make([]byte, 1))),
			"Write":        second(server.Write([]byte("x"))),
			"SetDeadline":  server.SetDeadline(time.Time{}),
			"CloseWrite":   server.(interface{ CloseWrite() error }).CloseWrite(),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
	})
}

func TestDeadlinesLimitReadAndWrite(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		client, server := connect(t, ln)
		past := time.Now().Add(-time.Second)
		check := func(what string, err error) {
			t.Helper()
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := client.Write([]byte("there")); err != nil {
			t.Fatal(err)
		}
		_ = server.SetDeadline(past) // set before the first wait
		check("read with bytes there", second(server.Read(make([]byte, 1))))
		check("write with room", second(server.Write([]byte("x"))))
		_ = server.SetDeadline(time.Time{})
		if n, err := server.Read(make([]byte, 9)); n != 5 || err != nil {
			t.Errorf("read after the deadline was lifted: %d, %v", n, err)
		}
		_ = server.SetReadDeadline(time.Now().Add(time.Millisecond))
		check("read of nothing", second(server.Read(make([]byte, 1))))
		_ = server.SetWriteDeadline(time.Now().Add(time.Millisecond))
		check("write to a full socket", fill(server))
	})
}

func TestTryNeverWaits(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		client, server := connect(t, ln)
		c := server.(*Conn)
		if n, err := c.TryRead(make([]byte, 4)); n != 0 || err != nil {
			t.Errorf("nothing there: %d, %v", n, err)
		}
		for full := false; !full; {
			n, err := c.TryWrite(make([]byte, 1<<16))
			if err != nil {
				t.Fatal(err)
			}
			full = n == 0
		}
		client.Close()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c}) // until its end, or a reset, has arrived
		if n, err := c.TryRead(make([]byte, 4)); n != 0 || err == nil {
			t.Errorf("after the end: %d, %v", n, err)
		}
	})
}

// The number of a descriptor that was closed belongs to the next file.
func TestCloseUnderTrafficTouchesNobodyElse(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		for range 200 {
			client, server := connect(t, ln)
			var users sync.WaitGroup
			for range 3 {
				users.Go(func() { _, _ = server.Read(make([]byte, 1)) })
				users.Go(func() { _, _ = server.Write([]byte("theirs")) })
			}
			users.Go(func() { _ = server.Close() })
			// Takes the number as soon as it is free, and must see no foreign byte.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			users.Wait()
			_ = w.Close()
			if b, _ := io.ReadAll(r); len(b) > 0 {
				t.Fatalf("a stranger's file got %q", b)
			}
			_, _ = r.Close(), client.Close()
		}
	})
}

func TestFilesAreCopiedWholeOrInPart(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		whole := bytes.Repeat([]byte("a file of some size, "), 1<<17)
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			wrap func(*os.File) io.Reader
			want []byte
		}{
			"whole":   {func(f *os.File) io.Reader { return f }, whole},
			"limited": {func(f *os.File) io.Reader { return io.LimitReader(f, 100_000) }, whole[:100_000]},
			"hidden":  {func(f *os.File) io.Reader { return struct{ io.Reader }{f} }, whole},
			"from the middle": {func(f *os.File) io.Reader {
				_, _ = f.Seek(1000, io.SeekStart)
				return io.LimitReader(f, 1<<40)
			}, whole[1000:]},
		} {
			client, server := connect(t, ln)
			got := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(client); got <- b }()
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(server, test.wrap(f))
			at, _ := f.Seek(0, io.SeekCurrent)
			_, _ = f.Close(), server.Close()
			if err != nil || int(n) != len(test.want) || !bytes.Equal(<-got, test.want) {
				t.Errorf("%s: %d of %d bytes, %v", name, n, len(test.want), err)
			}
			if end := int64(bytes.Index(whole, test.want[:64]) + len(test.want)); name != "from the middle" && at != end {
				t.Errorf("%s: the file stands at %d, not at %d", name, at, end)
			}
		}
	})
}

func TestAddressesAreThoseOfPackageNet(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		client, server := connect(t, ln)
		if got, want := server.LocalAddr().String(), client.RemoteAddr().String(); got != want {
			t.Errorf("local %s, want %s", got, want)
		}
		want := client.LocalAddr().String()
		if ln.Addr().Network() == "unix" {
			want = "@" // what package net says of a socket without a name
		}
		if got := server.RemoteAddr().String(); got != want {
			t.Errorf("remote %s, want %s", got, want)
		}
	})
}

func second(_ int, err error) error { return err }

func fill(w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return err
		}
	}
}
