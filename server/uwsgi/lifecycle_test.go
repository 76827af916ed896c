package uwsgi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestShutdownServesWhatWasAccepted(t *testing.T) {
	running, release := make(chan bool), make(chan bool)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-release
		io.WriteString(w, "done")
	})
	c := r.dial(t)
	c.Write(packet(t, 0, minimal()...))
	<-running
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown beside a running handler: %v", err)
	}
	if err := <-r.served; err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	close(release)
	if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), "done") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := r.Serve(nobody{}); err != ErrServerClosed {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

// nobody is a listener that must not be asked.
type nobody struct{ net.Listener }

func (nobody) Close() error { return nil }

func TestCloseCutsConnections(t *testing.T) {
	running := make(chan bool)
	ended := make(chan error, 1)
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	c := r.dial(t)
	c.Write(packet(t, 0, minimal()...))
	<-running
	r.Close()
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != context.Canceled {
		t.Errorf("context ended with %v", err)
	}
}

func TestClosedListenerEndsServeOnly(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	running, release := make(chan bool), make(chan bool)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-release
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(packet(t, 0, minimal()...))
	<-running
	l.Close()
	if err := <-served; err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	close(release)
	if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 200 OK") {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// shortage is a listener without descriptors for a while.
type shortage struct {
	net.Listener
	errs []error
}

func (l *shortage) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return nil, net.ErrClosed
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}
func (l *shortage) Close() error { return nil }

func TestShortageDoesNotEndServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged lines
		s := &Server{ErrorLog: logged.log}
		emfile := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		begin := time.Now()
		if err := s.Serve(&shortage{errs: []error{emfile, emfile, emfile}}); err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(begin); took != 35*time.Millisecond {
			t.Errorf("waited %v, want 5+10+20 ms", took)
		}
		broken := errors.New("broken")
		if err := s.Serve(&shortage{errs: []error{broken}}); err != broken {
			t.Errorf("Serve: %v, want the listener's error", err)
		}
		if got := logged.get(); len(got) != 3 || !strings.Contains(got[0], "too many open files") {
			t.Errorf("log is %q", got)
		}
	})
}

func TestShutdownEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{ErrorLog: func(string, ...any) {}}
		served := make(chan error)
		endless := make([]error, 1000)
		for i := range endless {
			endless[i] = syscall.ENFILE
		}
		go func() { served <- s.Serve(&shortage{errs: endless}) }()
		synctest.Wait()
		s.Close()
		if err := <-served; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
}
