package uwsgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestContextEndsWithThePeer covers every way to look at a context, with the body
// consumed, absent, or waiting in the server's buffer.
func TestContextEndsWithThePeer(t *testing.T) {
	type key struct{}
	for name, wait := range map[string]func(context.Context){
		"Done": func(ctx context.Context) { <-ctx.Done() },
		"Err": func(ctx context.Context) {
			for ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
		},
		"derived": func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
			defer cancel()
			<-ctx.Done()
		},
		"AfterFunc": func(ctx context.Context) {
			done := make(chan bool)
			context.AfterFunc(ctx, func() { close(done) })
			<-done
		},
	} {
		for _, body := range []string{"", "consumed", "ignored"} {
			t.Run(name+" "+body, func(t *testing.T) {
				onEach(t, func(t *testing.T, network string) {
					running, ended := make(chan bool), make(chan error, 1)
					r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
						if body == "consumed" {
							io.ReadAll(r.Body)
						}
						close(running)
						wait(r.Context())
						ended <- context.Cause(r.Context())
					})
					c := r.dial(t)
					c.Write(append(packet(t, 0, minimal("CONTENT_LENGTH", fmt.Sprint(len(body)))...), body...))
					<-running
					c.Close()
					if err := <-ended; err != errClientGone {
						t.Errorf("cause is %v", err)
					}
				})
			})
		}
	}
}

func TestContextEndsAfterTheHandler(t *testing.T) {
	for _, look := range []bool{true, false} {
		ctxs := make(chan context.Context, 1)
		r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
			if look {
				r.Context().Done()
			}
			ctxs <- r.Context()
		})
		r.do(t, "GET", "/", "")
		<-(<-ctxs).Done()
		r.stop(t)
	}
}

func TestCloseNotifyTellsOfThePeerOnly(t *testing.T) {
	notified := make(chan (<-chan bool), 2)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		ch := w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
		if r.URL.Path == "/wait" {
			<-ch
		}
		notified <- ch
	})
	c := r.dial(t)
	c.Write(packet(t, 0, minimalBut("REQUEST_URI", "/wait")...))
	c.Close()
	<-notified
	r.do(t, "GET", "/", "")
	r.stop(t)
	select {
	case <-<-notified:
		t.Error("the end of the handler counts as the peer's")
	default:
	}
}

// TestWatchLetsTheBodyAlone: looking at the context before the body is read must not
// cost the handler a byte.
func TestWatchLetsTheBodyAlone(t *testing.T) {
	const size = 1 << 20
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		done := r.Context().Done()
		n, err := io.Copy(io.Discard, r.Body)
		select {
		case <-done:
			t.Error("context ended beside a living peer")
		default:
		}
		if rc := http.NewResponseController(w); rc.SetReadDeadline(time.Now().Add(time.Hour)) != nil {
			t.Error("no deadline while watching")
		}
		fmt.Fprint(w, n, err)
	}, func(s *Server) { s.ReadTimeout = patience })
	if _, body := r.do(t, "POST", "/", strings.Repeat("x", size)); body != fmt.Sprint(size, " <nil>") {
		t.Errorf("got %q", body)
	}
}

func TestBodyErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		read func(io.ReadCloser) error
		want error
	}{
		{"cut", func(b io.ReadCloser) error { _, err := io.ReadAll(b); return err }, io.ErrUnexpectedEOF},
		{"closed", func(b io.ReadCloser) error { b.Close(); _, err := b.Read(make([]byte, 1)); return err }, http.ErrBodyReadAfterClose},
		{"sticky", func(b io.ReadCloser) error { io.ReadAll(b); _, err := b.Read(make([]byte, 1)); return err }, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan error, 1)
			r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) { got <- tt.read(r.Body) })
			c := r.dial(t)
			c.Write(append(packet(t, 0, minimal("CONTENT_LENGTH", "5")...), "hel"...))
			c.(*net.TCPConn).CloseWrite()
			if err := <-got; !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestStalledBodyFails(t *testing.T) {
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded), r.Context().Err())
	}, func(s *Server) { s.ReadTimeout = 20 * time.Millisecond })
	c := r.dial(t)
	c.Write(append(packet(t, 0, minimal("CONTENT_LENGTH", "5")...), "hel"...))
	if got, _ := io.ReadAll(c); !strings.HasSuffix(string(got), "\r\n\r\ntrue <nil>") {
		t.Errorf("got %q", got)
	}
}

func TestSurplusBehindTheBodyIsIgnored(t *testing.T) {
	onEach(t, func(t *testing.T, network string) {
		r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%d %v", len(b), err)
		})
		c := r.dial(t)
		c.Write(packet(t, 0, minimal("CONTENT_LENGTH", "5")...))
		c.Write([]byte(strings.Repeat("x", 64<<10)))
		if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), "\r\n\r\n5 <nil>") || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestReaderLeftBehindIsEnded: the handler returns while a goroutine of its own waits
// for the body. The response must not wait with it.
func TestReaderLeftBehindIsEnded(t *testing.T) {
	left := make(chan error, 1)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		reading := make(chan bool)
		go func() {
			var p [1]byte
			r.Body.Read(p[:])
			close(reading)
			_, err := r.Body.Read(p[:])
			left <- err
		}()
		<-reading
	}, func(s *Server) { s.ReadTimeout = time.Hour })
	c := r.dial(t)
	c.Write(append(packet(t, 0, minimal("CONTENT_LENGTH", "5")...), "h"...))
	if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 200 OK") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-left; err == nil {
		t.Error("the reader got a byte from nowhere")
	}
}

func TestFullDuplex(t *testing.T) {
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 1)
		for {
			if _, err := r.Body.Read(p); err != nil && err != io.EOF {
				t.Error(err)
				return
			} else if _, werr := w.Write(p); werr != nil {
				t.Error(werr)
				return
			} else if w.(http.Flusher).Flush(); err == io.EOF {
				return
			}
		}
	})
	c := r.dial(t)
	c.Write(packet(t, 0, minimal("CONTENT_LENGTH", "3")...))
	var got []byte
	for _, b := range []byte("abc") {
		c.Write([]byte{b})
		for p := make([]byte, 4096); !strings.HasSuffix(string(got), string(b)); {
			n, err := c.Read(p)
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			got = append(got, p[:n]...)
		}
	}
	if !strings.HasSuffix(string(got), "\r\n\r\nabc") {
		t.Errorf("got %q", got)
	}
}

func TestGoexitInAHandlerIsAnswered(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() })
	if status, _ := r.attempt(t); status != 500 {
		t.Errorf("status %d", status)
	}
	if status, _ := r.attempt(t); status != 500 {
		t.Errorf("the next request: status %d", status)
	}
}
