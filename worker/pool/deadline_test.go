package pool

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// counted counts how often the deadline of the socket is set.
type counted struct {
	*net.TCPConn
	set atomic.Int64
}

func (c *counted) SetReadDeadline(t time.Time) error {
	c.set.Add(1)
	return c.TCPConn.SetReadDeadline(t)
}

// kept gives a connection that came through a gate, and its client.
func kept(t *testing.T) (c *conn, socket *counted, client net.Conn) {
	t.Helper()
	ln := listen(t)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	socket = &counted{TCPConn: inner.(*net.TCPConn)}
	t.Cleanup(func() { client.Close(); inner.Close() })
	return newPool(t, Options{Slots: 1}).newConn(socket, grace), socket, client
}

// What net/http does to a connection for each request costs no deadline of the socket.
func TestDeadlinesOfABusyConnectionAreNotSet(t *testing.T) {
	c, socket, client := kept(t)
	c.SetReadDeadline(time.Now().Add(time.Hour))
	before := socket.set.Load()
	b := make([]byte, 1)
	for range 100 {
		c.SetReadDeadline(time.Now().Add(2 * time.Hour))
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Time{})
		c.SetReadDeadline(longAgo)
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a read behind an interruption: %v", err)
		}
		c.SetReadDeadline(time.Time{})
	}
	if n := socket.set.Load() - before; n != 0 {
		t.Errorf("the deadline of the socket was set %d times", n)
	}
}

func TestReadEndsWithTheDeadlineThatWasSetLast(t *testing.T) {
	for name, last := range map[string]time.Duration{"later": 60 * time.Millisecond, "sooner": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := kept(t)
			c.SetReadDeadline(time.Now().Add(40 * time.Millisecond))
			until := time.Now().Add(last)
			c.SetReadDeadline(until)
			_, err := c.Read(make([]byte, 1))
			if now := time.Now(); !errors.Is(err, os.ErrDeadlineExceeded) || now.Before(until) {
				t.Errorf("%v, %s before the deadline", err, until.Sub(now))
			}
		})
	}
}

func TestDeadlineThatWasTakenBackIsNotMet(t *testing.T) {
	c, _, client := kept(t)
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	c.SetReadDeadline(time.Time{})
	time.AfterFunc(30*time.Millisecond, func() { client.Write([]byte("x")) })
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// An interruption finds the reader wherever it is between two reads.
func TestInterruptionIsNeverLost(t *testing.T) {
	c, _, _ := kept(t)
	for range 2000 {
		c.SetReadDeadline(time.Now().Add(patience))
		ended := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		c.SetReadDeadline(longAgo)
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

func TestHijackerGetsTheDeadlinesHeSets(t *testing.T) {
	c, socket, _ := kept(t)
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	c.SetDeadline(time.Time{}) // as net/http does
	c.hijacked.Store(true)
	before := socket.set.Load()
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.SetReadDeadline(time.Now().Add(2 * time.Hour))
	if n := socket.set.Load() - before; n != 2 {
		t.Errorf("the deadline of the socket was set %d times, want 2", n)
	}
}

func TestAwaitReadTakesNothing(t *testing.T) {
	c, _, client := kept(t)
	c.SetReadDeadline(time.Now().Add(patience))
	time.AfterFunc(time.Millisecond, func() { client.Write([]byte("x")) })
	for range 2 {
		if err := c.AwaitRead(); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 2)
	if n, err := c.Read(b); n != 1 || b[0] != 'x' || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	client.Close()
	if err := c.AwaitRead(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestAwaitReadEndsWithTheDeadline(t *testing.T) {
	c, _, _ := kept(t)
	until := time.Now().Add(20 * time.Millisecond)
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	c.SetReadDeadline(until)
	if err := c.AwaitRead(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().Before(until) {
		t.Errorf("%v, %s before the deadline", err, time.Until(until))
	}
}

func TestAwaitReadIsOverWhenTheDrainIs(t *testing.T) {
	c, _, client := kept(t)
	c.SetReadDeadline(time.Now().Add(patience))
	ended := make(chan error, 1)
	go func() { ended <- c.AwaitRead() }()
	c.expire()
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the client read %d, %v, want the goodbye", n, err)
	}
	client.Close()
	if err := <-ended; err != io.EOF {
		t.Error(err)
	}
}

func TestAwaitReadSeesWhatComesWithTheExpiry(t *testing.T) {
	c, _, client := kept(t)
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitRead(); err != nil {
		t.Fatal(err) // it is in the kernel's buffer now
	}
	c.expire()
	if err := c.AwaitRead(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
