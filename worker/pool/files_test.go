package pool

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// copying is a connection in memory that copies files as the kernel does: what was not sent
// was not read. careless ones do it as io.Copy does, and lose what a deadline cuts off.
type copying struct {
	net.Conn
	careless bool
}

func (c copying) ReadFrom(src io.Reader) (total int64, err error) {
	l := src.(*io.LimitedReader)
	f := l.R.(io.ReadSeeker) // io.Copy has wrapped it
	b := make([]byte, 32<<10)
	for l.N > 0 && err == nil {
		n, end := f.Read(b[:min(l.N, int64(len(b)))])
		if end != nil {
			break
		}
		var m int
		m, err = c.Write(b[:n])
		total += int64(m)
		if !c.careless {
			_, _ = f.Seek(int64(m-n), io.SeekCurrent)
			n = m
		}
		l.N -= int64(n)
	}
	return total, err
}

// sendingFile serves a file of some MiB to one client, and tells how its copy ended.
func sendingFile(t *testing.T, careless bool, inner func(*os.File) io.Reader) (c *client, content []byte, ended <-chan error) {
	t.Helper()
	content = bytes.Repeat([]byte("0123456789abcdef!"), 3<<16)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	p := newPool(t, Options{Slots: 1, SocketTimeout: 8 * time.Second})
	ln := newMemListener()
	result := make(chan error, 1)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3342336")
		w.Header().Set("Connection", "close")
		_, err := io.Copy(w, inner(f))
		result <- err
	})
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	ln.queue <- copying{theirs, careless}
	c = newClient(ours)
	if err := c.send("GET", "/", ""); err != nil {
		t.Fatal(err)
	}
	return c, content, result
}

// slowly reads 64 KiB a second: a stretch takes longer than the limit.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second / 2)
	return s.Reader.Read(p[:min(len(p), 32<<10)])
}

func TestSlowReaderOfAFileIsNotCut(t *testing.T) {
	for name, inner := range map[string]func(*os.File) io.Reader{
		"whole":   func(f *os.File) io.Reader { return f },
		"bounded": func(f *os.File) io.Reader { return io.LimitReader(f, 1<<40) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, content, ended := sendingFile(t, false, inner)
				c.br.Reset(slowly{c.conn})
				began := time.Now()
				_, got, err := c.receive("GET")
				if err != nil || got != string(content) {
					t.Errorf("%d of %d bytes, %v", len(got), len(content), err)
				}
				if err := <-ended; err != nil {
					t.Errorf("the copy: %v", err)
				}
				if took := time.Since(began); took < 40*time.Second {
					t.Errorf("took %s: the test proves nothing", took)
				}
			})
		})
	}
}

func TestStalledReaderOfAFileIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, ended := sendingFile(t, false, func(f *os.File) io.Reader { return f })
		began := time.Now()
		if _, err := io.CopyN(io.Discard, c.conn, 100<<10); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the copy: %v", err)
		}
		if took := time.Since(began); took > 16*time.Second { // it took a little in the first eight
			t.Errorf("cut after %s", took)
		}
		c.conn.Close()
	})
}

// Where bytes were read that were not sent, going on would leave a hole.
func TestACopyThatLosesBytesIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, content, ended := sendingFile(t, true, func(f *os.File) io.Reader { return f })
		c.br.Reset(&stopping{Reader: c.conn, after: 100 << 10, pause: 9 * time.Second})
		_, got, err := c.receive("GET")
		if err == nil || !bytes.HasPrefix(content, []byte(got)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the copy: %v", err)
		}
	})
}

// stopping pauses once, in the middle of a piece.
type stopping struct {
	io.Reader
	after int
	pause time.Duration
}

func (s *stopping) Read(p []byte) (int, error) {
	if s.after <= 0 && s.pause > 0 {
		time.Sleep(s.pause)
		s.pause = 0
	}
	n, err := s.Reader.Read(p[:min(len(p), 1000)])
	s.after -= n
	return n, err
}

// The limit is on the client. What the application reads from may take its time.
func TestASlowSourceIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, content, ended := sendingFile(t, false, func(f *os.File) io.Reader {
			return &stopping{Reader: struct{ io.Reader }{f}, after: 100 << 10, pause: time.Minute}
		})
		if _, got, err := c.receive("GET"); err != nil || got != string(content) {
			t.Errorf("%d of %d bytes, %v", len(got), len(content), err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the copy: %v", err)
		}
	})
}
