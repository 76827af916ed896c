package uwsgi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The law of this file: a handler cannot tell this server from net/http's, and neither
// can a client, except for what manages the connection.

// generated is a request as a client means it, before either protocol.
type generated struct {
	method, target, host, body string
	header                     [][2]string
}

func generate(rnd *rand.Rand) generated {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	g := generated{
		method: pick("GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "M-SEARCH"),
		host:   pick("example.com", "example.com:8080", "[::1]:80", "127.0.0.1"),
		target: "/",
	}
	for range rnd.IntN(5) {
		g.target += pick("a", "b%2Fc", "%2e%2e", "..", ".", "", "+", "%20", "%C3%A9", "%c3%a9", "%ff", "~x", "a;b=1", "a:b", "*", "%25", "%2525", "@", "'", "(", "%00") + pick("/", "/", "")
	}
	if rnd.IntN(2) == 0 {
		g.target += "?" + pick("", "q=1", "q=%2F+x&q=2", "a?b", "%zz", "=", "&&", "é")
	}
	if g.method != "GET" && g.method != "HEAD" && rnd.IntN(3) > 0 {
		g.body = strings.Repeat(pick("x", "body\x00\xff\r\n"), rnd.IntN(6000))
	}
	for range rnd.IntN(5) {
		g.header = append(g.header, [2]string{
			pick("X-A", "Accept", "Cookie", "X-Forwarded-For", "Authorization", "Pragma", "Cache-Control", "Content-Type", "If-None-Match", "Range", "x-lower", "Proxy-X"),
			pick("v", "a, b", "", "no-cache", "text/html;q=0.5", "\"quoted\"", "caf\xe9", "tab\there", "bytes=0-1"),
		})
	}
	return g
}

// http writes g as a client of an http socket would.
func (g generated) http() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", g.method, g.target, g.host)
	for _, h := range g.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if g.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(g.body))
	}
	b.WriteString("Connection: close\r\n\r\n" + g.body)
	return b.Bytes()
}

// uwsgi writes g as nginx passes it on, but for the normalised path.
func (g generated) uwsgi(t testing.TB) []byte {
	raw, query, _ := strings.Cut(g.target, "?")
	path, err := url.PathUnescape(raw)
	if err != nil {
		t.Fatal(err)
	}
	vars := []string{"QUERY_STRING", query, "REQUEST_METHOD", g.method, "REQUEST_URI", g.target, "PATH_INFO", path,
		"SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_SCHEME", "http", "REMOTE_ADDR", "127.0.0.1", "REMOTE_PORT", "1234",
		"SERVER_NAME", "_", "HTTP_HOST", g.host, "HTTP_CONNECTION", "close"}
	length, kind := "", ""
	if g.body != "" {
		length = fmt.Sprint(len(g.body))
		vars = append(vars, "HTTP_CONTENT_LENGTH", length)
	}
	for _, h := range g.header {
		vars = append(vars, "HTTP_"+strings.ReplaceAll(strings.ToUpper(h[0]), "-", "_"), h[1])
		if h[0] == "Content-Type" {
			kind = h[1]
		}
	}
	vars = append(vars, "CONTENT_TYPE", kind, "CONTENT_LENGTH", length)
	return append(packet(t, 0, vars...), g.body...)
}

// answer sends raw bytes and reads the response.
func answer(t *testing.T, network, addr, method string, raw []byte) (*http.Response, []byte, error) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(raw); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if resp.StatusCode < 200 {
			continue // net/http sends informational responses, this server drops them
		}
		body, err := io.ReadAll(resp.Body)
		return resp, body, err
	}
}

// pair is one handler behind both servers.
func pair(t *testing.T, h http.HandlerFunc) (uw, ht string) {
	t.Helper()
	direct := httptest.NewServer(h)
	t.Cleanup(direct.Close)
	return start(t, "tcp", h).addr, direct.Listener.Addr().String()
}

func TestHandlersSeeTheSameRequest(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/a/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "rest %q pattern %q\n", r.PathValue("rest"), r.Pattern)
		io.WriteString(w, dump(r))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, dump(r)) })
	uw, ht := pair(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Connection") // hop by hop: net/http shows it, a front end's is gone
		r.RemoteAddr = ""
		if r.Header.Get("X-A") != "" {
			mux.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, dump(r))
	})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		g := generate(rnd)
		if hasRepeatedType(g) {
			continue // nginx passes one of them on
		}
		got, gotBody, _ := answer(t, "tcp", uw, g.method, g.uwsgi(t))
		want, wantBody, _ := answer(t, "tcp", ht, g.method, g.http())
		if got.StatusCode != want.StatusCode || !bytes.Equal(gotBody, wantBody) || got.Header.Get("Location") != want.Header.Get("Location") {
			t.Fatalf("%q\nuwsgi %d\n%s\nnet/http %d\n%s", g.http(), got.StatusCode, gotBody, want.StatusCode, wantBody)
		}
	}
}

func hasRepeatedType(g generated) bool {
	n := 0
	for _, h := range g.header {
		if h[0] == "Content-Type" {
			n++
			if h[1] == "" {
				n++ // absent and empty are the same variable
			}
		}
	}
	return n > 1
}

// responses are handlers whose answers must look the same behind both servers.
func responses(file string) map[string]http.HandlerFunc {
	big := strings.Repeat("0123456789abcdef", 8<<10)
	return map[string]http.HandlerFunc{
		"nothing":     func(w http.ResponseWriter, r *http.Request) {},
		"text":        func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		"html":        func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<!doctype html>") },
		"empty write": func(w http.ResponseWriter, r *http.Request) { w.Write(nil) },
		"json": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{}")
		},
		"no type": func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil; io.WriteString(w, "x") },
		"gzip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "x")
		},
		"created":    func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) },
		"no content": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); io.WriteString(w, "x") },
		"not modified": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Content-Type", "a/b")
			w.WriteHeader(304)
		},
		"strange status": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(799); io.WriteString(w, "x") },
		"header twice": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(200)
			io.WriteString(w, "x")
		},
		"header after":       func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); w.Header().Set("X-Late", "1") },
		"header after write": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); w.Header().Set("X-Late", "1") },
		"early hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.WriteHeader(200)
		},
		"repeated fields": func(w http.ResponseWriter, r *http.Request) { w.Header()["Set-Cookie"] = []string{"a=1", "b=2"} },
		"split":           func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-A", "a\r\nX-B: b") },
		"bad name":        func(w http.ResponseWriter, r *http.Request) { w.Header()["X A"] = []string{"1"} },
		"own date":        func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") },
		"length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		},
		"length too long": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "hello")
			io.WriteString(w, "hey")
		},
		"length too short": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "hello")
		},
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) },
		"error":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusTeapot) },
		"not found": http.NotFound,
		"big":       func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) },
		"big in steps": func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(big); i += 1000 {
				io.WriteString(w, big[i:min(i+1000, len(big))])
			}
		},
		"big with a length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write([]byte(big))
		},
		"small then big": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<h"); io.WriteString(w, "tml>"+big) },
		"flush first":    func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "x") },
		"flush between": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			io.WriteString(w, "y")
		},
		"copied":       func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader(big)) },
		"copied small": func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader("<html>")) },
		"echo":         func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) },
		"file":         func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"file copied":  func(w http.ResponseWriter, r *http.Request) { f, _ := os.Open(file); defer f.Close(); io.Copy(w, f) },
		"part of a file": func(w http.ResponseWriter, r *http.Request) {
			f, _ := os.Open(file)
			defer f.Close()
			w.Header().Set("Content-Length", "600")
			io.CopyN(w, f, 600)
		},
	}
}

func TestClientsSeeTheSameResponse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(strings.Repeat("<p>0123456789\n", 200<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, h := range responses(file) {
		for _, g := range []generated{
			{method: "GET"}, {method: "HEAD"}, {method: "POST", body: "<b>hello"},
			{method: "GET", header: [][2]string{{"Range", "bytes=10-2000009"}}},
		} {
			t.Run(name+" "+g.method, func(t *testing.T) {
				t.Parallel()
				g.target, g.host = "/page", "example.com"
				uw, ht := pair(t, h)
				got := visible(answer(t, "tcp", uw, g.method, g.uwsgi(t)))
				want := visible(answer(t, "tcp", ht, g.method, g.http()))
				if got != want {
					t.Errorf("uwsgi\n%s\nnet/http\n%s", got, want)
				}
			})
		}
	}
}

// visible writes down what a client behind a front end can tell. Chunks, and with them
// a length the handler did not declare, are the connection's: another size of buffer
// makes them differ.
func visible(resp *http.Response, body []byte, err error) string {
	var b strings.Builder
	fmt.Fprintln(&b, resp.StatusCode, len(body), err)
	resp.Header.Del("Content-Length")
	if d := resp.Header.Get("Date"); d != "" {
		if _, err := time.Parse(http.TimeFormat, d); err == nil && !strings.Contains(d, "1970") {
			resp.Header.Set("Date", "now")
		}
	}
	var fields []string
	for k, vs := range resp.Header {
		fields = append(fields, fmt.Sprintf("%s: %q", k, vs))
	}
	slices.Sort(fields)
	b.WriteString(strings.Join(fields, "\n"))
	b.Write(body[:min(len(body), 200)])
	return b.String()
}
