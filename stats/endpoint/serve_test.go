package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// serving runs Serve; the result arrives when its context ends or its listener does.
func serving(t *testing.T, ln net.Listener, o Options) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Serve(ctx, ln, o) }()
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

// spoken dials and sends a request. Who takes longer for that than the quiet is taken for one who
// never speaks: it is not this test's matter then, and is done again.
func spoken(t *testing.T, ln net.Listener, request string) net.Conn {
	t.Helper()
	for {
		began, c := time.Now(), dial(t, ln)
		if _, err := io.WriteString(c, request); err != nil && time.Since(began) < quiet {
			t.Fatal(err)
		}
		if time.Since(began) < quiet {
			return c
		}
		_ = c.Close()
	}
}

// addresses are one of each sort.
func addresses(t *testing.T) map[string][2]string {
	t.Helper()
	all := map[string][2]string{"tcp": {"tcp", "127.0.0.1:0"}, "unix": {"unix", filepath.Join(t.TempDir(), "s")}}
	if runtime.GOOS == "linux" {
		all["abstract"] = [2]string{"unix", fmt.Sprintf("@ostler-%d-%s", os.Getpid(), t.Name())}
	}
	return all
}

func TestFetchReadsWhatIsServed(t *testing.T) {
	for name, at := range addresses(t) {
		ln := listen(t, at[0], at[1])
		stop := serving(t, ln, Options{Source: sample()})
		s, err := stats.Fetch(t.Context(), ln.Addr().String())
		if err != nil || s.Generation != 4 || len(s.Workers) != 4 {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
		if err := stop(); err != nil {
			t.Errorf("%s: Serve: %v", name, err)
		}
		if _, err := net.Dial(at[0], ln.Addr().String()); err == nil {
			t.Errorf("%s: still listening", name)
		}
	}
}

func TestAHEADHasNoBody(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, Options{Source: sample()})
	for _, path := range []string{"/", "/metrics"} {
		c := spoken(t, ln, "HEAD "+path+" HTTP/1.0\r\n\r\n")
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
	err := Serve(t.Context(), ln, Options{Source: sample()})
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
	for _, said := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\n"} {
		src := blocking{asked: make(chan struct{}), release: make(chan struct{})}
		ln := listen(t, "tcp", "127.0.0.1:0")
		stop := serving(t, ln, Options{Source: src})
		c := dial(t, ln)
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		<-src.asked
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		close(src.release)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q: the connection outlived its server", said)
		}
	}
}

func TestAHeadHasAnEnd(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, Options{Source: sample()})
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

// Who has come before the end is answered, however late the request: between the connection
// and it, and between its first byte and its last.
func TestAnEndAnswersEverybodyWhoCame(t *testing.T) {
	for name, said := range map[string]string{"nothing yet": "", "half a head": "GET /stats HTTP/1.1\r\nHo"} {
		t.Run(name, func(t *testing.T) {
			ln := &counted{Listener: listen(t, "unix", filepath.Join(t.TempDir(), "s")), came: make(chan struct{}, 1), closed: make(chan struct{})}
			stop := serving(t, ln, Options{Source: sample(), StopTimeout: deadline})
			c := dial(t, ln)
			if _, err := io.WriteString(c, said); err != nil {
				t.Fatal(err)
			}
			<-ln.came
			ended := make(chan error, 1)
			go func() { ended <- stop() }()
			<-ln.closed
			if _, err := io.WriteString(c, strings.TrimPrefix("GET /stats HTTP/1.1\r\nHost: x\r\n\r\n", said)); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c)
			if err != nil || !strings.Contains(string(answer), `"workers"`) {
				t.Errorf("answered %q, %v", answer, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// counted tells of the first connection it gives, and of its end.
type counted struct {
	net.Listener
	came, closed chan struct{}
	once         sync.Once
}

func (l *counted) Close() error {
	defer l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	select {
	case l.came <- struct{}{}:
	default:
	}
	return c, err
}

func TestAnEndBeforeTheBeginning(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ln := listen(t, "tcp", "127.0.0.1:0")
	if err := Serve(ctx, ln, Options{Source: sample()}); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func TestNoClientHasForEver(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	srv, front := newServer(ln, Options{Source: sample()})
	_ = front.Close()
	for name, d := range map[string]time.Duration{"read": srv.ReadTimeout, "write": srv.WriteTimeout, "idle": srv.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s timeout is %v", name, d)
		}
	}
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, Options{Source: sample()})
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	paths := []string{"/metrics", "/stats", "/readyz", "/metrics"}
	c := spoken(t, ln, get(paths[0]))
	r := bufio.NewReader(c)
	for n, path := range paths {
		if n > 0 {
			if _, err := io.WriteString(c, get(path)); err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != res.ContentLength || n == 0 {
			t.Errorf("%s: %d bytes of %d, %v", path, n, res.ContentLength, err)
		}
	}
}
