package accept

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ways are the two ways to wait for a connection.
func ways(t *testing.T, test func(t *testing.T, l *Listener, accept func() (net.Conn, error))) {
	networks(t, func(t *testing.T, ln net.Listener) {
		shared, alone := share(t, ln.(*Listener)), share(t, ln.(*Listener))
		t.Run("shared", func(t *testing.T) { test(t, shared, shared.Accept) })
		t.Run("alone", func(t *testing.T) { test(t, alone, alone.AcceptAlone) })
	})
}

// share gives what another process would have: a listener of its own on the same socket.
func share(t *testing.T, l *Listener) *Listener {
	t.Helper()
	f := os.NewFile(uintptr(mustDup(t, l.fd)), "socket")
	inner, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Listen(inner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return other.(*Listener)
}

func TestEveryConnectionIsAccepted(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		const clients, each = 8, 50
		listeners := []*Listener{ln.(*Listener), share(t, ln.(*Listener)), share(t, ln.(*Listener))}
		var accepted atomic.Int64
		var servers sync.WaitGroup
		for i, l := range listeners {
			accept := l.Accept
			if i > 0 {
				accept = l.AcceptAlone
			}
			servers.Go(func() {
				for {
					c, err := accept()
					if errors.Is(err, os.ErrDeadlineExceeded) {
						continue // see below
					}
					if err != nil {
						return
					}
					accepted.Add(1)
					_, _ = c.Write([]byte("."))
					_ = c.Close()
				}
			})
		}
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range each {
					c := dial(t, ln)
					if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
						t.Errorf("not served: %d, %v", n, err)
					}
					_ = c.Close()
				}
			})
		}
		// A pool interrupts its listeners all the time.
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				for _, l := range listeners {
					_ = l.SetDeadline(longAgo())
					_ = l.SetDeadline(time.Time{})
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		all.Wait()
		close(stop)
		<-stopped
		for _, l := range listeners {
			_ = l.Close()
		}
		servers.Wait()
		if n := accepted.Load(); n != clients*each {
			t.Errorf("%d connections were accepted of %d", n, clients*each)
		}
	})
}

func TestDeadlineInterruptsAccept(t *testing.T) {
	ways(t, func(t *testing.T, l *Listener, accept func() (net.Conn, error)) {
		ended := make(chan error, 1)
		go func() { _, err := accept(); ended <- err }()
		_ = l.SetDeadline(longAgo())
		err := <-ended
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("accept ended with %v", err)
		}
		_ = l.SetDeadline(time.Time{})
		go func() { c, err := accept(); ended <- err; _ = c.Close() }()
		dial(t, l)
		if err := <-ended; err != nil {
			t.Errorf("accept after the deadline was lifted: %v", err)
		}
	})
}

// A socket belongs to more processes than the one that is done with it.
func TestCloseEndsAcceptAndNotTheSocket(t *testing.T) {
	ways(t, func(t *testing.T, l *Listener, accept func() (net.Conn, error)) {
		other := share(t, l)
		ended := make(chan error, 1)
		go func() { _, err := accept(); ended <- err }()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept ended with %v", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if err := l.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetDeadline after Close: %v", err)
		}
		connect(t, other)
	})
}

// One connection must not wake every process that waits for it.
func TestAConnectionWakesOneThatWaitsAlone(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} { // one after the other: all threads of the process are counted
		ln := listen(t, network)
		const waiters, dials = 16, 100
		var crowd sync.WaitGroup
		var listeners []*Listener
		for range waiters {
			l := share(t, ln.(*Listener))
			listeners = append(listeners, l)
			crowd.Go(func() {
				for !l.refs.closed() {
					// As a wait of some length does it; a short one would keep the others of
					// this process from waiting at all.
					if _, err := unix.EpollWait(l.alone.epoll, make([]unix.EpollEvent, 2), -1); err != nil && err != unix.EINTR {
						t.Error(err)
						return
					}
					if c, err := l.try(); err == nil {
						_, _ = c.Write([]byte("."))
						_ = c.Close()
					}
				}
			})
		}
		// Who is woken in vain goes to sleep again without a word: it shows here only.
		before := timesAsleep(t)
		for range dials {
			c := dial(t, ln)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		n := timesAsleep(t) - before
		t.Logf("threads went to sleep %d times", n)
		if n > waiters*dials*3/4 {
			t.Errorf("%d connections put threads to sleep %d times: they wake all %d waiters", dials, n, waiters)
		}
		for _, l := range listeners {
			l.refs.acquire() // what Close frees is still waited on
			_ = l.Close()
		}
		crowd.Wait()
		for _, l := range listeners {
			l.release()
		}
	}
}

func timesAsleep(t *testing.T) int64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Nvcsw
}

func TestListenLeavesAloneWhatHasNoDescriptor(t *testing.T) {
	plain := struct{ net.Listener }{}
	if ln, err := Listen(plain); ln != plain || err != nil {
		t.Errorf("%v, %v", ln, err)
	}
}

// A peer that connects and says nothing must not stop the process again and again.
func TestSilentPeersAreNotWaitedForTwice(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		l := ln.(*Listener)
		for range 20 { // a wait that a signal ends, of the runtime for example, says nothing about the peer
			_, silent := connect(t, ln)
			if n, err := silent.(*Conn).TryRead(make([]byte, 1)); n != 0 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if l.peers.doubts.Load() > 0 {
				break
			}
		}
		if l.peers.doubts.Load() != distrust {
			t.Error("a silent peer is trusted")
		}
		client, prompt := connect(t, ln)
		_, _ = client.Write([]byte("x"))
		_, _ = prompt.(*Conn).TryRead(make([]byte, 1))
		_, second := connect(t, ln)
		_, _ = second.(*Conn).TryRead(make([]byte, 1))
		if d := l.peers.doubts.Load(); d >= distrust {
			t.Errorf("%d doubts: it was waited for again", d)
		}
	})
}

// A connection wakes one of all who wait alone. If that one is told to end at the same
// moment, nobody else comes for the connection.
func TestAWakeUpIsNotLostToClose(t *testing.T) {
	networks(t, func(t *testing.T, ln net.Listener) {
		for range 100 {
			a, b := share(t, ln.(*Listener)), share(t, ln.(*Listener))
			got := make(chan net.Conn, 2)
			var waiting sync.WaitGroup
			for _, l := range []*Listener{a, b} {
				waiting.Go(func() {
					if c, err := l.AcceptAlone(); err == nil {
						got <- c
					}
				})
			}
			dial(t, ln)
			go a.Close()
			select {
			case c := <-got:
				_ = c.Close()
			case <-time.After(patience):
				t.Fatal("nobody came for the connection")
			}
			_ = b.Close()
			waiting.Wait()
		}
	})
}
