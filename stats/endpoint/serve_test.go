package endpoint

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// serving runs Serve; the result arrives when its context ends or its listener does.
func serving(t *testing.T, ln net.Listener, src stats.Source) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Serve(ctx, ln, src) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(deadline):
			return errors.New("Serve does not end")
		}
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	return stop
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func dial(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFetchReadsWhatIsServed(t *testing.T) {
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		ln := listen(t, network, addr)
		stop := serving(t, ln, sample())
		s, err := stats.Fetch(t.Context(), ln.Addr().String())
		if err != nil || s.Generation != 4 || len(s.Workers) != 4 {
			t.Errorf("%s: %v, %+v", network, err, s)
		}
		if err := stop(); err != nil {
			t.Errorf("%s: Serve: %v", network, err)
		}
		if _, err := net.Dial(network, ln.Addr().String()); err == nil {
			t.Errorf("%s: still listening", network)
		}
	}
}

func TestAHEADHasNoBody(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, sample())
	for _, path := range []string{"/", "/metrics"} {
		c := dial(t, ln)
		if _, err := io.WriteString(c, "HEAD "+path+" HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(c)
		head, body, ok := strings.Cut(string(all), "\r\n\r\n")
		if err != nil || !ok || body != "" || !strings.HasPrefix(head, "HTTP/1.0 200 OK") {
			t.Errorf("HEAD %s: %v, %q", path, err, all)
		}
	}
}

func TestAFailedListenerIsReported(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	_ = ln.Close()
	err := Serve(t.Context(), ln, sample())
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "serve stats on 127.0.0.1:") {
		t.Errorf("Serve: %v", err)
	}
}

// blocking never answers; it says when it was asked.
type blocking struct{ asked, release chan struct{} }

func (b blocking) Snapshot() stats.Snapshot {
	close(b.asked)
	<-b.release
	return stats.Snapshot{}
}

func TestAnEndIsNotHeldUpByAnAnswer(t *testing.T) {
	src := blocking{asked: make(chan struct{}), release: make(chan struct{})}
	ln := listen(t, "tcp", "127.0.0.1:0")
	stop := serving(t, ln, src)
	c := dial(t, ln)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-src.asked
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	close(src.release)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived its server")
	}
}

func TestSilentClientsKeepNobodyOut(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, sample())
	var silent []net.Conn
	for range maxConns {
		silent = append(silent, dial(t, ln))
	}
	// Connections are counted in the order of their accepts, so this one is too many.
	over := dial(t, ln)
	if _, err := over.Read(make([]byte, 1)); err == nil {
		t.Fatal("a connection beyond the limit is answered")
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatal("a connection beyond the limit is kept open")
	}
	for _, c := range silent {
		_ = c.Close()
	}
	for end := time.Now().Add(deadline); ; {
		_, err := stats.Fetch(t.Context(), ln.Addr().String())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after the silent clients left: %v", err)
		}
	}
}

func TestAHeadHasAnEnd(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, sample())
	c := dial(t, ln)
	go func() { // ends when the server closes the connection
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n")
		for line := "X: " + strings.Repeat("y", 1000) + "\r\n"; ; {
			if _, err := io.WriteString(c, line); err != nil {
				return
			}
		}
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil { // a reset may overtake the answer
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("an endless head is read for ever: %v", err)
		}
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("an endless head: %s", res.Status)
	}
}

func TestAnEndBeforeTheBeginning(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ln := listen(t, "tcp", "127.0.0.1:0")
	if err := Serve(ctx, ln, sample()); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func TestNoClientHasForEver(t *testing.T) {
	srv := newServer(sample())
	for name, d := range map[string]time.Duration{"read": srv.ReadTimeout, "write": srv.WriteTimeout, "idle": srv.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s timeout is %v", name, d)
		}
	}
}
