package uwsgi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// peer is a server that answers every connection with the same bytes.
func peer(t *testing.T, answer string) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 4096)); err == nil {
				io.WriteString(c, answer)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &Client{Network: "tcp", Addr: l.Addr().String()}
}

func TestClientReadsResponses(t *testing.T) {
	for _, tt := range []struct {
		name, answer, body, err string
	}{
		{"to the end of the connection", "HTTP/1.0 200 OK\r\n\r\nhello", "hello", ""},
		{"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", ""},
		{"informational first", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", "hello", ""},
		{"nothing", "", "", "unexpected EOF"},
		{"nonsense", "d\x00\x00\x01", "", "read response"},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "hello", "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest("GET", "http://x/", nil)
			resp, err := peer(t, tt.answer).RoundTrip(req)
			var body []byte
			if err == nil {
				defer resp.Body.Close()
				body, err = io.ReadAll(resp.Body)
			}
			if string(body) != tt.body || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v, want %q, %s", body, err, tt.body, tt.err)
			}
		})
	}
}

func TestClientSaysWhatNginxSays(t *testing.T) {
	req, _ := http.NewRequest("POST", "https://example.com:8443/a%2Fb?c=d", strings.NewReader("hello"))
	req.Header.Add("X-Many", "1")
	req.Header.Add("X-Many", "2")
	req.Header.Set("Content-Type", "text/plain")
	c := &Client{Vars: Vars{{"SCRIPT_NAME", "/a"}, {"SERVER_NAME", "other"}}}
	got := c.vars(req, 5, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 99})
	want := Vars{
		{"QUERY_STRING", "c=d"}, {"REQUEST_METHOD", "POST"}, {"CONTENT_TYPE", "text/plain"}, {"CONTENT_LENGTH", "5"},
		{"REQUEST_URI", "/a%2Fb?c=d"}, {"PATH_INFO", "/a/b"}, {"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "https"},
		{"HTTPS", "on"}, {"REMOTE_ADDR", "10.0.0.1"}, {"REMOTE_PORT", "99"}, {"SERVER_PORT", "8443"},
		{"HTTP_HOST", "example.com:8443"}, {"HTTP_X_MANY", "1"}, {"HTTP_X_MANY", "2"}, {"SCRIPT_NAME", "/a"}, {"SERVER_NAME", "other"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("variable %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestClientThroughHTTPClient(t *testing.T) {
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusSeeOther)
			return
		}
		io.WriteString(w, r.Method+r.URL.Path)
	})
	hc := &http.Client{Transport: r.client()}
	resp, err := hc.Post("http://example.com/old", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "GET/new" {
		t.Errorf("got %q", body)
	}
}

func TestClientRefusesABodyOfUnknownLength(t *testing.T) {
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", "http://x/", pr)
	if _, err := (&Client{}).RoundTrip(req); err == nil || !strings.Contains(err.Error(), "unknown length") {
		t.Errorf("got %v", err)
	}
	if _, err := pw.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Errorf("the body was not closed: %v", err)
	}
}

func TestClientStopsWithItsContext(t *testing.T) {
	running := make(chan bool)
	r := start(t, "tcp", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(running)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://x/", nil)
	resp, err := r.client().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	<-running
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the body ended with %v", err)
	}
	resp.Body.Close()

	if _, err := r.client().RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
}

func TestClientBlockTooBig(t *testing.T) {
	r := start(t, "tcp", nothing)
	req, _ := http.NewRequest("GET", "http://x/", nil)
	req.Header.Set("X-Big", strings.Repeat("x", MaxBlock))
	if _, err := r.client().RoundTrip(req); err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("got %v", err)
	}
}

func TestPingAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for answer, want := range map[string]string{
		"d\x00\x00\x01":            "",
		"d\x04\x00\x01busy":        "the server warns: \"busy\"",
		"d\x04\x00\x01bu":          "unexpected EOF",
		"HTTP/1.1 400 Bad Request": "is no pong",
		"":                         "EOF",
	} {
		err := peer(t, answer).Ping(ctx)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("answer %q: %v, want %q", answer, err, want)
		}
	}
	silent, other := net.Pipe()
	defer other.Close()
	go bufio.NewReader(other).Peek(headerLen)
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	c := &Client{Dial: func(context.Context) (net.Conn, error) { return silent, nil }}
	if err := c.Ping(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server: %v", err)
	}
}
