package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// trickle reads from c, at most n bytes at a time, with pauses.
func trickle(c net.Conn, n int, pause time.Duration) (total int, err error) {
	buf := make([]byte, n)
	for {
		got, err := c.Read(buf)
		total += got
		if err != nil {
			return total, err
		}
		time.Sleep(pause)
	}
}

func TestStalledReaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, SocketTimeout: 8 * time.Second})
		ln := newMemListener()
		result := make(chan error, 1)
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			_, err := w.Write(make([]byte, 1<<20))
			result <- err
		})
		c := ln.dial(t)
		if err := c.send("GET", "/", ""); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("cut after %s, the limit is 8s", took)
		}
		c.conn.Close()
	})
}

// A limit on a whole response would cut everybody who is slow.
func TestSlowReaderIsNotCut(t *testing.T) {
	const size = 8 << 20
	writes := map[string]func(w io.Writer){
		"one write": func(w io.Writer) { w.Write(make([]byte, size)) },
		"copy":      func(w io.Writer) { io.Copy(w, bytes.NewReader(make([]byte, size))) },
		"bounded":   func(w io.Writer) { io.CopyN(w, neverEnding{}, size) },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 1, SocketTimeout: 8 * time.Second})
				ln := newMemListener()
				serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "8388608")
					w.Header().Set("Connection", "close")
					write(w)
				})
				c := ln.dial(t)
				if err := c.send("GET", "/", ""); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				total, err := trickle(c.conn, 64<<10, time.Second)
				if err != io.EOF || total < size {
					t.Errorf("%d bytes, then %v", total, err)
				}
				if took := time.Since(began); took < time.Minute {
					t.Errorf("took %s: the test proves nothing", took)
				}
			})
		})
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStalledBodyIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, SocketTimeout: 8 * time.Second})
		ln := newMemListener()
		result := make(chan error, 1)
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			result <- err
		})
		c := ln.dial(t)
		go io.Copy(io.Discard, c.conn)
		io.WriteString(c.conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		for range 20 { // slow is well
			io.WriteString(c.conn, "x")
			time.Sleep(5 * time.Second)
		}
		began := time.Now()
		select {
		case err := <-result:
			t.Fatalf("cut while bytes were coming: %v", err)
		default:
		}
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v", err)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("cut after another %s", took)
		}
		if got := p.opts.Page.Totals().ReadErrors; got != 1 {
			t.Errorf("%d read errors", got)
		}
	})
}

// What the client sends of a body that nobody reads is drained by the server before the
// connection is used again; that, too, must have an end.
func TestStalledUnreadBodyIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, SocketTimeout: 8 * time.Second})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {})
		c := ln.dial(t)
		io.WriteString(c.conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		began := time.Now()
		io.Copy(io.Discard, c.conn)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}

// A request that takes its time is not a stall, before its body, after it, or without one.
func TestThinkingHandlerIsNotCut(t *testing.T) {
	for _, body := range []string{"", "body"} {
		t.Run("body "+body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Slots: 1, SocketTimeout: time.Second})
				ln := newMemListener()
				serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Minute)
					got, err := io.ReadAll(r.Body)
					if err != nil {
						t.Errorf("body: %v", err)
					}
					io.ReadAll(r.Body) // after its end, too
					time.Sleep(time.Minute)
					if r.Context().Err() != nil {
						t.Error("the context ended")
					}
					w.Write(got)
					time.Sleep(time.Minute)
					w.Write([]byte("."))
				})
				c := ln.dial(t)
				for range 2 {
					if _, got, err := c.do("POST", "/", body); err != nil || got != body+"." {
						t.Fatalf("%q %v", got, err)
					}
					time.Sleep(time.Minute) // idle
				}
			})
		})
	}
}

func TestOwnDeadlinesOfAHandlerAreRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, SocketTimeout: time.Minute})
		ln := newMemListener()
		type times struct{ read, write time.Duration }
		result := make(chan times, 1)
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/plain" {
				io.Copy(io.Discard, r.Body)
				return
			}
			rc := http.NewResponseController(w)
			began, took := time.Now(), times{}
			if err := rc.SetReadDeadline(began.Add(2 * time.Second)); err != nil {
				t.Error(err)
			}
			io.Copy(io.Discard, r.Body)
			took.read = time.Since(began)
			began = time.Now()
			if err := rc.SetWriteDeadline(began.Add(3 * time.Second)); err != nil {
				t.Error(err)
			}
			w.Write(make([]byte, 1<<20))
			took.write = time.Since(began)
			result <- took
		})
		c := ln.dial(t)
		if _, _, err := c.do("POST", "/plain", "all"); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c.conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		if got := <-result; got != (times{2 * time.Second, 3 * time.Second}) {
			t.Errorf("cut after %+v", got)
		}
		c.conn.Close()
	})
}

// A websocket may be silent for longer than any request.
func TestHijackedConnectionHasNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1, SocketTimeout: time.Second})
		ln := newMemListener()
		serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // a deadline of ours is set
			nc, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			time.Sleep(time.Minute)
			if _, err := io.WriteString(nc, "pushed"); err != nil {
				t.Errorf("push: %v", err)
			}
			buf := make([]byte, 3)
			if _, err := io.ReadFull(nc, buf); err != nil {
				t.Errorf("read: %v", err)
			}
		})
		c := ln.dial(t)
		go c.send("GET", "/", "")
		if _, err := c.br.ReadString('p'); err != nil { // the chunked head, then the push
			t.Fatal(err)
		}
		go io.Copy(io.Discard, c.conn)
		time.Sleep(time.Minute)
		if _, err := io.WriteString(c.conn, "end"); err != nil {
			t.Error(err)
		}
	})
}

// A client that is still sending must get the answer and its end, not a reset: nginx
// makes a 502 of that.
func TestAnAnswerWithAGoodbyeSurvivesAnUnreadBody(t *testing.T) {
	t.Parallel()
	p := newPool(t, Options{Slots: 1, SocketTimeout: time.Minute})
	ln := listen(t)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	c := dial(t, ln.Addr())
	// More than what the server reads ahead, so that some is left in the kernel.
	body := strings.Repeat("x", 512<<10)
	if _, err := fmt.Fprintf(c.conn, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", 20<<20, body); err != nil {
		t.Fatal(err)
	}
	res, _, err := c.receive("POST")
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %v, %v", res, err)
	}
	if _, err := c.br.ReadByte(); err != io.EOF {
		t.Errorf("the connection ends with %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Drain(ctx, 0); err != nil { // net/http keeps the connection for a moment
		t.Error(err)
	}
}
