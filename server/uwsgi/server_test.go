package uwsgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onEach runs a test over TCP and over a unix socket: they differ in resets.
func onEach(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			f(t, network)
		})
	}
}

func nothing(http.ResponseWriter, *http.Request) {}

func TestMistakesAreAnsweredAndLoggedOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     string
		status int
		cause  string
	}{
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "spoken to in HTTP"},
		{"TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", 400, "spoken to in TLS"},
		{"RPC", "\xad\x00\x00\x00", 501, "modifier1 173 (RPC)"},
		{"cut header", "\x00\x10", 400, "header ended after 2 of 4 bytes"},
		{"cut block", "\x00\x10\x00\x00abc", 400, "block ended after 3 of 16 bytes"},
		{"empty block", "\x00\x00\x00\x00", 400, "block of variables is empty"},
		{"too many variables", string(packet(t, 0, minimal("a", "1", "b", "2")...)), 431, "over the limit of 4"},
		{"too long a body", string(packet(t, 0, minimal("CONTENT_LENGTH", "11")...)), 413, "over the limit of 10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, network string) {
				r := start(t, network, nothing, func(s *Server) { s.Limits = Limits{MaxVars: 4, MaxBody: 10} })
				c := r.dial(t)
				io.WriteString(c, tt.in)
				c.(interface{ CloseWrite() error }).CloseWrite()
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if resp.StatusCode != tt.status || !strings.Contains(string(text), tt.cause) || err != nil {
					t.Errorf("answer %d %q %v, want %d %q", resp.StatusCode, text, err, tt.status, tt.cause)
				}
				if resp, body := r.do(t, "GET", "/", ""); resp.StatusCode != 200 && resp.StatusCode != 431 {
					t.Errorf("the next request: %d %q", resp.StatusCode, body)
				}
			})
		})
	}
}

func TestRefusalIsOneLogLine(t *testing.T) {
	r := start(t, "tcp", nothing)
	c := r.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.stop(t)
	got := r.get()
	if len(got) != 1 || !strings.Contains(got[0], "HTTP") || !strings.Contains(got[0], c.LocalAddr().String()) {
		t.Errorf("log is %q", got)
	}
}

func TestProbeIsNotLogged(t *testing.T) {
	onEach(t, func(t *testing.T, network string) {
		r := start(t, network, nothing)
		c := r.dial(t)
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
		r.do(t, "GET", "/", "") // accepted after the probe
		r.stop(t)
		if got := r.get(); len(got) != 0 {
			t.Errorf("log is %q", got)
		}
	})
}

func TestConnectionBrokenInTheBlockIsLogged(t *testing.T) {
	r := start(t, "tcp", nothing)
	c := r.dial(t)
	// More than fits the reader, so that the reset meets a read and not a parser.
	c.Write(append([]byte{0, 0xff, 0xff, 0}, make([]byte, 20000)...))
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	r.stop(t)
	if got := r.get(); len(got) != 1 || !strings.Contains(got[0], "refused") {
		t.Errorf("log is %q", got)
	}
}

func TestSilentPeerIsToldSo(t *testing.T) {
	for _, said := range []string{"", "\x00\x10\x00"} {
		onEach(t, func(t *testing.T, network string) {
			r := start(t, network, nothing, func(s *Server) { s.HeaderTimeout = 20 * time.Millisecond })
			c := r.dial(t)
			io.WriteString(c, said)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != 504 {
				t.Fatalf("%v, %v", resp, err)
			}
			c.Close()
			r.stop(t)
			if got := r.get(); len(got) != 1 || !strings.Contains(got[0], "not complete within 20ms") {
				t.Errorf("log is %q", got)
			}
		})
	}
}

func TestStrangerIsForbidden(t *testing.T) {
	onEach(t, func(t *testing.T, network string) {
		r := start(t, network, nothing, func(s *Server) { s.AllowFrom = func(net.Addr) bool { return false } })
		resp, body := r.do(t, "POST", "/", strings.Repeat("x", 1<<20))
		if resp.StatusCode != 403 || !strings.Contains(body, "not in the list") {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		r.stop(t)
		if got := r.get(); len(got) != 1 || !strings.Contains(got[0], "403") {
			t.Errorf("log is %q", got)
		}
	})
}

func TestPing(t *testing.T) {
	onEach(t, func(t *testing.T, network string) {
		r := start(t, network, func(http.ResponseWriter, *http.Request) { t.Error("a ping reached the handler") })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.client().Ping(ctx); err != nil {
			t.Error(err)
		}
		c := r.dial(t)
		c.Write([]byte{100, 0, 0, 0})
		if got, err := io.ReadAll(c); string(got) != "d\x00\x00\x01" || err != nil {
			t.Errorf("pong is % x, %v", got, err)
		}
	})
}

func TestRequestInSingleBytes(t *testing.T) {
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	})
	c := r.dial(t)
	c.(*net.TCPConn).SetNoDelay(true)
	for _, b := range append(packet(t, 0, minimal("CONTENT_LENGTH", "5")...), "hello"...) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := io.ReadAll(c); !strings.HasSuffix(string(got), "\r\n\r\n/ hello") {
		t.Errorf("got %q", got)
	}
}

// TestEarlyAnswerToAnUploadArrives sends all of the body before it reads a byte, which
// is the front end that suffers most from a reset.
func TestEarlyAnswerToAnUploadArrives(t *testing.T) {
	for _, tt := range []struct {
		name   string
		max    int64
		status int
	}{{"by the limit", 1 << 20, 413}, {"by the handler", 0, 401}} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, network string) {
				const size = 20 << 20
				r := start(t, network, func(w http.ResponseWriter, r *http.Request) {
					http.Error(w, "who are you", http.StatusUnauthorized)
				}, func(s *Server) { s.Limits.MaxBody = tt.max })
				c := r.dial(t)
				c.Write(packet(t, 0, minimal("CONTENT_LENGTH", fmt.Sprint(size))...))
				if _, err := io.CopyN(c, zeros{}, size); err != nil {
					t.Fatalf("upload: %v", err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || resp.StatusCode != tt.status {
					t.Fatalf("%+v, %v", resp, err)
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPanicIsAnsweredOrVisible(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int // 0: nothing arrives
		broken  bool
		logged  string
	}{
		{"before anything", func(w http.ResponseWriter, r *http.Request) { panic("boom") }, 500, false, "boom"},
		{"after WriteHeader", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-A", "1")
			w.WriteHeader(201)
			io.WriteString(w, "partly")
			panic("boom")
		}, 500, false, "boom"},
		{"after a flush, with a length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "partly")
			w.(http.Flusher).Flush()
			panic("boom")
		}, 200, true, "boom"},
		{"abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, 0, true, ""},
		{"bad status", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(0) }, 500, false, "invalid WriteHeader code 0"},
		{"runtime error", func(w http.ResponseWriter, r *http.Request) { _ = r.Header["Nothing"][1] }, 500, false, "index out of range"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, network string) {
				r := start(t, network, tt.handler)
				status, broken := r.attempt(t)
				if status != tt.status || broken != tt.broken {
					t.Errorf("status %d broken %t, want %d %t", status, broken, tt.status, tt.broken)
				}
				r.stop(t)
				got := strings.Join(r.get(), "")
				if tt.logged == "" && got != "" || !strings.Contains(got, tt.logged) {
					t.Errorf("log is %q", got)
				}
				if tt.logged != "" && !strings.Contains(got, "server_test.go:") {
					t.Errorf("no stack of the handler in %q", got)
				}
			})
		})
	}
}

// attempt does a request that may fail at any point.
func (r *running) attempt(t *testing.T) (status int, broken bool) {
	t.Helper()
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	resp, err := r.client().RoundTrip(req)
	if err != nil {
		return 0, true
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return resp.StatusCode, err != nil
}

// TestAbortWithoutLengthIsAReset is about TCP only: a unix socket has no reset.
func TestAbortWithoutLengthIsAReset(t *testing.T) {
	flushed := make(chan bool)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "partly")
		w.(http.Flusher).Flush()
		<-flushed
		panic(http.ErrAbortHandler)
	})
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	resp, err := r.client().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(flushed)
	if got, err := io.ReadAll(resp.Body); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v, want a reset", got, err)
	}
}

func TestConnContextReachesTheHandler(t *testing.T) {
	type key struct{}
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(key{}), " ", r.Context().Value(http.LocalAddrContextKey))
	}, func(s *Server) {
		s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, key{}, c.RemoteAddr().Network())
		}
	})
	if _, body := r.do(t, "GET", "/", ""); body != "tcp "+r.addr {
		t.Errorf("got %q", body)
	}
}

func TestOptionsOfTheServerItselfReachNoHandler(t *testing.T) {
	r := start(t, "tcp", func(http.ResponseWriter, *http.Request) { t.Error("the handler was asked") })
	raw := packet(t, 0, "REQUEST_METHOD", "OPTIONS", "REQUEST_URI", "*", "PATH_INFO", "*", "SERVER_PROTOCOL", "HTTP/1.1")
	resp, body, err := answer(t, "tcp", r.addr, "OPTIONS", raw)
	if err != nil || resp.StatusCode != http.StatusOK || resp.ContentLength != 0 || len(body) > 0 {
		t.Errorf("got %v, %q, %v", resp, body, err)
	}
}

func TestDefaultsWithoutFields(t *testing.T) {
	s := &Server{}
	if s.handler(new(http.Request)) != http.DefaultServeMux {
		t.Error("nil handler is not the default mux")
	}
}

func TestLogWithoutErrorLog(t *testing.T) {
	var out strings.Builder
	log.SetOutput(&out)
	defer log.SetOutput(os.Stderr)
	new(Server).log("accept failed", "error", syscall.EMFILE, "after", time.Second)
	if !strings.HasSuffix(out.String(), `uwsgi: accept failed error="too many open files" after="1s"`+"\n") {
		t.Errorf("got %q", out.String())
	}
}
