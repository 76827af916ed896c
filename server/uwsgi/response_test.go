package uwsgi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLengthIsAddedWhenTheBodyWasComplete(t *testing.T) {
	for _, tt := range []struct {
		name   string
		size   int
		flush  bool
		length int64
	}{
		{"empty", 0, false, 0},
		{"small", 5, false, 5},
		{"as big as the buffer", bodyBuffer, false, bodyBuffer},
		{"bigger", bodyBuffer + 1, false, -1},
		{"flushed", 5, true, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, strings.Repeat("x", tt.size))
				if tt.flush {
					w.(http.Flusher).Flush()
				}
			})
			resp, body := r.do(t, "GET", "/", "")
			if resp.ContentLength != tt.length || len(body) != tt.size {
				t.Errorf("length %d, body %d, want %d, %d", resp.ContentLength, len(body), tt.length, tt.size)
			}
			if resp.TransferEncoding != nil || !resp.Close {
				t.Errorf("encoding %q, close %t", resp.TransferEncoding, resp.Close)
			}
		})
	}
}

func TestSmallResponseIsOneWrite(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}
	done := make(chan bool)
	go func() { s.newConn(server).serve(); close(done) }()
	client.Write(packet(t, 0, minimal()...))
	p := make([]byte, 4096) // a read of a pipe returns one write at most
	n, err := client.Read(p)
	if err != nil || !strings.HasSuffix(string(p[:n]), "\r\n\r\nhello") {
		t.Errorf("got %q, %v", p[:n], err)
	}
	<-done
}

func TestFlushReachesTheClientAtOnce(t *testing.T) {
	seen := make(chan bool)
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "event %d\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-seen
		}
	})
	req, _ := http.NewRequest("GET", "http://x/", nil)
	resp, err := r.client().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 3 {
		line, err := br.ReadString('\n')
		if line != fmt.Sprintf("event %d\n", i) || err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		seen <- true
	}
}

func TestMistakesOfAHandlerAreLoggedWithTheirPlace(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Bad Name"] = []string{"x"}
		w.Header().Set("Content-Length", "many")
		w.WriteHeader(200)
		w.WriteHeader(500)
	})
	if resp, _ := r.do(t, "GET", "/", ""); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	r.stop(t)
	got := strings.Join(r.get(), "")
	for _, want := range []string{"Bad Name", "many", "superfluous WriteHeader call", "response_test.go:"} {
		if !strings.Contains(got, want) {
			t.Errorf("log %q lacks %q", got, want)
		}
	}
}

func TestShortResponseIsVisible(t *testing.T) {
	onEach(t, func(t *testing.T, network string) {
		r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "hello")
		})
		req, _ := http.NewRequest("GET", "http://x/", nil)
		resp, err := r.client().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if string(got) != "hello" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q, %v", got, err)
		}
		r.stop(t)
		if got := strings.Join(r.get(), ""); !strings.Contains(got, "shorter than its Content-Length") {
			t.Errorf("log is %q", got)
		}
	})
}

func TestFileIsCopiedWithItsLimits(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	content := strings.Repeat("0123456789abcdef", 200<<10) // over three chunks
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		declare int // 0: no Content-Length
		limit   int64
		want    int
		err     error
	}{
		{"whole", 0, -1, len(content), nil},
		{"whole, declared", len(content), -1, len(content), nil},
		{"limited", 0, 2 << 20, 2 << 20, nil},
		{"limited to less than is sniffed", 0, 100, 100, nil},
		{"limited beyond its end", 0, 1 << 30, len(content), nil},
		{"more than declared", 1000, -1, 1000, http.ErrContentLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, network string) {
				r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
					f, err := os.Open(name)
					if err != nil {
						t.Error(err)
						return
					}
					defer f.Close()
					var src io.Reader = f
					if tt.limit >= 0 {
						src = io.LimitReader(f, tt.limit)
					}
					if tt.declare > 0 {
						w.Header().Set("Content-Length", fmt.Sprint(tt.declare))
					}
					n, err := w.(io.ReaderFrom).ReadFrom(src)
					if n != int64(tt.want) || err != tt.err {
						t.Errorf("ReadFrom: %d, %v, want %d, %v", n, err, tt.want, tt.err)
					}
				}, func(s *Server) { s.WriteTimeout = patience })
				if _, body := r.do(t, "GET", "/", ""); body != content[:tt.want] {
					t.Errorf("got %d bytes, want %d", len(body), tt.want)
				}
				if resp, body := r.do(t, "HEAD", "/", ""); body != "" || resp.StatusCode != 200 {
					t.Errorf("HEAD: %d, %d bytes", resp.StatusCode, len(body))
				}
			})
		})
	}
}

func TestLateUseOfAResponseIsHarmless(t *testing.T) {
	late := make(chan http.ResponseWriter, 1)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) { late <- w })
	r.do(t, "GET", "/", "")
	r.stop(t)
	w := <-late
	w.WriteHeader(500)
	if n, err := w.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := io.WriteString(w, "x"); n != 0 || err == nil {
		t.Errorf("WriteString: %d, %v", n, err)
	}
	if err := http.NewResponseController(w).Flush(); err == nil {
		t.Error("Flush succeeds")
	}
	if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
		t.Error("Hijack succeeds")
	}
}

func TestHijackTalksToThePeer(t *testing.T) {
	for _, header := range []bool{true, false} {
		t.Run(fmt.Sprintf("with WriteHeader %t", header), func(t *testing.T) {
			onEach(t, func(t *testing.T, network string) {
				r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
					_ = r.Context().Err() // starts the watch, which must let go
					if header {
						w.Header().Set("Connection", "Upgrade")
						w.Header().Set("Upgrade", "echo")
						w.WriteHeader(101)
					}
					c, rw, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if !header {
						rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
						rw.Flush()
					}
					if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
						t.Errorf("Write after Hijack: %v", err)
					}
					io.Copy(c, rw)
				}, func(s *Server) { s.HeaderTimeout, s.ReadTimeout, s.WriteTimeout = patience, patience, patience })
				req, _ := http.NewRequest("GET", "http://x/", nil)
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "echo")
				resp, err := r.client().RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
					t.Fatalf("%d %v", resp.StatusCode, resp.Header)
				}
				peer := resp.Body.(io.ReadWriter)
				for _, word := range []string{"one", "two"} {
					io.WriteString(peer, word)
					p := make([]byte, 3)
					if _, err := io.ReadFull(peer, p); string(p) != word || err != nil {
						t.Fatalf("got %q, %v", p, err)
					}
				}
			})
		})
	}
}

func TestHijackKeepsWhatThePeerSentAhead(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		p := make([]byte, 5)
		io.ReadFull(rw, p)
		c.Write(p)
	})
	c := r.dial(t)
	c.Write(append(packet(t, 0, minimal()...), "ahead"...))
	if got, err := io.ReadAll(c); string(got) != "ahead" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestDeadlinesOfAHandlerHold(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		if err := rc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			t.Error(err)
		}
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_, err := io.ReadAll(r.Body)
		fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
	}, func(s *Server) { s.ReadTimeout, s.WriteTimeout = patience, patience })
	c := r.dial(t)
	c.Write(append(packet(t, 0, minimal("CONTENT_LENGTH", "5")...), "hel"...))
	if got, _ := io.ReadAll(c); !strings.HasSuffix(string(got), "\r\n\r\ntrue") {
		t.Errorf("got %q", got)
	}
}

func TestStalledWriteFails(t *testing.T) {
	failed := make(chan error, 1)
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, zeros{})
		failed <- err
	}, func(s *Server) { s.WriteTimeout = 20 * time.Millisecond })
	c := r.dial(t)
	c.Write(packet(t, 0, minimal()...))
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the endless response ended with %v", err)
	}
}
