package uwsgi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// mapRequest is a packet and its request together, without a connection.
func mapRequest(b []byte) (*http.Request, error) {
	br := bufio.NewReader(bytes.NewReader(b))
	var p incoming
	if err := p.read(br, Limits{}); err != nil {
		return nil, err
	}
	ctx := &requestContext{base: context.Background(), watch: &watcher{}}
	return newRequest(ctx, &ctx.madeRequest, &p, io.NopCloser(io.LimitReader(br, p.length)), nowhere{})
}

// nowhere is a connection of which only the address is asked.
type nowhere struct{}

func (nowhere) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "@"} }

// dump writes down what a handler sees of a request.
func dump(r *http.Request) string {
	var b strings.Builder
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(&b, "%s %q %s\n", r.Method, r.RequestURI, r.Proto)
	fmt.Fprintf(&b, "host %q remote %q scheme %s\n", r.Host, r.RemoteAddr, Scheme(r))
	fmt.Fprintf(&b, "path %q raw %q query %q force %t\n", r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery)
	fmt.Fprintf(&b, "length %d body %q %v\n", r.ContentLength, body, err)
	var keys []string
	for k := range r.Header {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s: %q\n", k, r.Header[k])
	}
	return b.String()
}

func TestVectorsOfRealFrontEnds(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "testdata/uwsgi-ping.bin" {
				r, err := read(b, Limits{})
				if err != nil || r.Header != (Header{Modifier1: ModifierPing}) {
					t.Fatalf("ping: %+v, %v", r, err)
				}
				return
			}
			r, err := mapRequest(b)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(name, ".bin")+".txt", dump(r))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestPathInfoDecidesTheRoute(t *testing.T) {
	const none = "\x00absent"
	for _, tt := range []struct {
		name               string
		modifier           uint8
		uri, script, info  string
		wantPath, wantRaw  string
		wantURI, wantQuery string
	}{
		{"nginx, plain", 0, "/a/b?q=1", none, "/a/b", "/a/b", "", "", "q=1"},
		{"encoded slash kept as RawPath", 0, "/a%2Fb", none, "/a/b", "/a/b", "/a%2Fb", "", ""},
		{"normalised by the front end", 0, "/a//b/../c", none, "/a/c", "/a/c", "", "", ""},
		{"rewritten by the front end", 0, "/old%2Fx", none, "/new", "/new", "", "", ""},
		{"percent is not decoded twice", 0, "/a%2525", none, "/a%25", "/a%25", "", "", ""},
		{"no PATH_INFO", 0, "/a%20b", none, none, "/a b", "", "", ""},
		{"empty PATH_INFO, no mount", 0, "/a", "", "", "/a", "", "", ""},
		{"lighttpd, SCRIPT_NAME is everything", 0, "/a/b", "/a/b", none, "/a/b", "", "", ""},
		{"Apache, prefix stripped", 0, "/app/x%2Fy", "/app", "/x/y", "/x/y", "/x%2Fy", "", ""},
		{"Apache, prefix encoded", 0, "/%61pp/x%2Fy", "/app", "/x/y", "/x/y", "/x%2Fy", "", ""},
		{"Apache, inner path like the mount", 0, "/app/app/x", "/app", "/app/x", "/app/x", "", "", ""},
		{"the same with a doubled slash", 0, "/app//app/x", "/app", "/app/x", "/app/x", "", "", ""},
		{"mount itself", 0, "/app", "/app", "", "", "", "", ""},
		{"mount with slash", 0, "/app/", "/app", "/", "/", "", "", ""},
		{"mount written with slash", 0, "/app/x", "/app/", "/x", "/x", "", "", ""},
		{"prefix not stripped", 0, "/app/x", "/app", "/app/x", "/x", "", "", ""},
		{"prefix not stripped, normalised", 0, "/app//x", "/app", "/app/x", "/x", "", "", ""},
		{"prefix not stripped, rewritten", 0, "/old/x", "/app", "/app/x", "/x", "", "", ""},
		{"no boundary, no prefix", 0, "/apple", "/app", "/apple", "/apple", "", "", ""},
		{"modifier 30", 30, "/app/x%2Fy", "/app", "/app/x/y", "/x/y", "/x%2Fy", "", ""},
		{"modifier 30, nothing to strip", 30, "/x", "/app", "/x", "/x", "", "", ""},
		{"modifier 30, PATH_INFO missing", 30, "/app/x", "/app", none, "/x", "", "", ""},
		{"modifier 30, no mount", 30, "/x", none, "/x", "/x", "", "", ""},
		{"no REQUEST_URI", 0, none, none, "/a b", "/a b", "", "/a%20b", ""},
		{"no REQUEST_URI, mounted", 0, none, "/app", "/x", "/x", "", "/app/x", ""},
		{"no REQUEST_URI, modifier 30", 30, none, "/app", "/app/x", "/x", "", "/app/x", ""},
		{"absolute target", 0, "http://other/x?y", none, "/x", "/x", "", "", "y"},
		{"absolute target, left whole by the router", 0, "http://other/x%2Fz?y", none, "http://other/x/z", "/x/z", "/x%2Fz", "", "y"},
		{"asterisk", 0, "*", none, none, "*", "", "", ""},
		{"invalid UTF-8", 0, "/%ff", none, "/\xff", "/\xff", "/%ff", "", ""},
		{"fragment cut by nginx", 0, "/a#b", none, "/a", "/a", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pairs := []string{"REQUEST_METHOD", "GET"}
			for _, p := range [][2]string{{"REQUEST_URI", tt.uri}, {"SCRIPT_NAME", tt.script}, {"PATH_INFO", tt.info}} {
				if p[1] != none {
					pairs = append(pairs, p[0], p[1])
				}
			}
			r, err := mapRequest(packet(t, tt.modifier, pairs...))
			if err != nil {
				t.Fatal(err)
			}
			wantURI := tt.wantURI
			if wantURI == "" {
				wantURI = tt.uri
			}
			got := []string{r.URL.Path, r.URL.RawPath, r.RequestURI, r.URL.RawQuery}
			if want := []string{tt.wantPath, tt.wantRaw, wantURI, tt.wantQuery}; !slices.Equal(got, want) {
				t.Errorf("path, raw, uri, query: got %q, want %q", got, want)
			}
		})
	}
}

func TestVariablesBecomeFields(t *testing.T) {
	for _, tt := range []struct {
		name string
		vars []string
		get  func(*http.Request) any
		want any
	}{
		{"query of a rewrite", []string{"REQUEST_URI", "/?a", "QUERY_STRING", "b=1"}, func(r *http.Request) any { return r.URL.RawQuery }, "b=1"},
		{"query removed", []string{"REQUEST_URI", "/?a", "QUERY_STRING", ""}, func(r *http.Request) any { return r.URL.RawQuery }, ""},
		{"host", []string{"HTTP_HOST", "h:81", "SERVER_NAME", "s"}, host, "h:81"},
		{"host of the front end", []string{"SERVER_NAME", "s", "SERVER_PORT", "80"}, host, "s"},
		{"host with port", []string{"SERVER_NAME", "s", "SERVER_PORT", "8080"}, host, "s:8080"},
		{"host with TLS port", []string{"SERVER_NAME", "s", "SERVER_PORT", "443", "HTTPS", "on"}, host, "s"},
		{"host unnamed by $host", []string{"HTTP_HOST", "_"}, host, ""},
		{"host unnamed", []string{"SERVER_NAME", "_", "SERVER_PORT", "8080"}, host, ""},
		{"host of an absolute target", []string{"REQUEST_URI", "http://t/x", "HTTP_HOST", "h"}, host, "t"},
		{"proto 2", []string{"SERVER_PROTOCOL", "HTTP/2.0"}, proto, "HTTP/2.0 2 0"},
		{"proto 3 short", []string{"SERVER_PROTOCOL", "HTTP/3"}, proto, "HTTP/3.0 3 0"},
		{"proto included", []string{"SERVER_PROTOCOL", "INCLUDED"}, proto, "HTTP/1.0 1 0"},
		{"proto missing", nil, proto, "HTTP/1.0 1 0"},
		{"remote", []string{"REMOTE_ADDR", "10.0.0.1", "REMOTE_PORT", "99"}, remote, "10.0.0.1:99"},
		{"remote v6", []string{"REMOTE_ADDR", "::1", "REMOTE_PORT", "99"}, remote, "[::1]:99"},
		{"remote without port", []string{"REMOTE_ADDR", "10.0.0.1"}, remote, "10.0.0.1:0"},
		{"remote with a strange port", []string{"REMOTE_ADDR", "10.0.0.1", "REMOTE_PORT", "70000"}, remote, "10.0.0.1:0"},
		{"remote on a unix socket", []string{"REMOTE_ADDR", "unix:", "REMOTE_PORT", ""}, remote, "[unix:]:0"},
		{"remote missing", nil, remote, "@"},
		{"scheme", []string{"REQUEST_SCHEME", "HTTPS"}, scheme, "https"},
		{"HTTPS on", []string{"HTTPS", "on"}, scheme, "https"},
		{"HTTPS on over plain", []string{"REQUEST_SCHEME", "http", "HTTPS", "on"}, scheme, "https"},
		{"HTTPS 1", []string{"HTTPS", "1"}, scheme, "https"},
		{"HTTPS off", []string{"HTTPS", "off"}, scheme, "http"},
		{"X-Forwarded-Proto is not believed", []string{"HTTP_X_FORWARDED_PROTO", "https"}, scheme, "http"},
		{"UWSGI_SCHEME is data", []string{"UWSGI_SCHEME", "https"}, scheme, "http"},
		{"no TLS state is made up", []string{"HTTPS", "on"}, func(r *http.Request) any { return r.TLS == nil }, true},
		{"repeated header", []string{"HTTP_X_A", "1", "HTTP_X_A", "2"}, header("X-A"), []string{"1", "2"}},
		{"dash and underscore meet", []string{"HTTP_X_A", "1", "HTTP_X-A", "2"}, header("X-A"), []string{"1", "2"}},
		{"spaces around", []string{"HTTP_X_A", " \tv "}, header("X-A"), []string{"v"}},
		{"empty header", []string{"HTTP_X_A", ""}, header("X-A"), []string{""}},
		{"httpoxy", []string{"HTTP_PROXY", "http://evil/"}, header("Proxy"), []string(nil)},
		{"transfer encoding", []string{"HTTP_TRANSFER_ENCODING", "chunked", "CONTENT_LENGTH", "0"}, header("Transfer-Encoding"), []string(nil)},
		{"the same with a dash", []string{"HTTP_TRANSFER-ENCODING", "chunked", "CONTENT_LENGTH", "0"}, header("Transfer-Encoding"), []string(nil)},
		{"content length of nothing", []string{"CONTENT_LENGTH", "0"}, header("Content-Length"), []string(nil)},
		{"content length twice", []string{"CONTENT_LENGTH", "3", "HTTP_CONTENT_LENGTH", "9"}, header("Content-Length"), []string{"3"}},
		{"content type twice", []string{"CONTENT_TYPE", "a/b", "HTTP_CONTENT_TYPE", "c/d"}, header("Content-Type"), []string{"a/b"}},
		{"content type empty", []string{"CONTENT_TYPE", ""}, header("Content-Type"), []string(nil)},
		{"connection", []string{"HTTP_CONNECTION", "close, X-A", "HTTP_X_A", "1"}, header("Connection"), []string(nil)},
		{"named in connection", []string{"HTTP_CONNECTION", "close, X-A", "HTTP_X_A", "1"}, header("X-A"), []string{"1"}},
		{"upgrade", []string{"HTTP_CONNECTION", "keep-alive, Upgrade", "HTTP_UPGRADE", "websocket"}, header("Upgrade"), []string{"websocket"}},
		{"upgrade's connection", []string{"HTTP_CONNECTION", "keep-alive, Upgrade", "HTTP_UPGRADE", "websocket"}, header("Connection"), []string{"Upgrade"}},
		{"upgrade in the first of two", []string{"HTTP_CONNECTION", "upgrade", "HTTP_UPGRADE", "websocket", "HTTP_CONNECTION", "close"}, header("Upgrade"), []string{"websocket"}},
		{"upgrade without connection", []string{"HTTP_UPGRADE", "websocket"}, header("Upgrade"), []string(nil)},
		{"te and trailer", []string{"HTTP_TE", "trailers", "HTTP_TRAILER", "X", "HTTP_KEEP_ALIVE", "5"}, func(r *http.Request) any { return len(r.Header) }, 0},
		{"pragma", []string{"HTTP_PRAGMA", "no-cache"}, header("Cache-Control"), []string{"no-cache"}},
		{"expect", []string{"HTTP_EXPECT", "100-Continue"}, header("Expect"), []string{"100-Continue"}},
		{"expect in the first of two", []string{"HTTP_EXPECT", "100-continue", "HTTP_EXPECT", "x"}, header("Expect"), []string{"100-continue", "x"}},
		{"repeated with the same value", []string{"HTTPS", "on", "HTTPS", "on"}, scheme, "https"},
		{"magic variables are data", []string{"UWSGI_FILE", "exec://touch /tmp/x"}, func(r *http.Request) any { return VarsOf(r).Get("UWSGI_FILE") }, "exec://touch /tmp/x"},
		{"mount", []string{"SCRIPT_NAME", "/app", "PATH_INFO", "/"}, func(r *http.Request) any { return VarsOf(r).Get("SCRIPT_NAME") }, "/app"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vars := append([]string{"REQUEST_METHOD", "GET"}, tt.vars...)
			if !slices.Contains(vars, "REQUEST_URI") {
				vars = append(vars, "REQUEST_URI", "/")
			}
			r, err := mapRequest(packet(t, 0, vars...))
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(r); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func host(r *http.Request) any   { return r.Host }
func remote(r *http.Request) any { return r.RemoteAddr }
func scheme(r *http.Request) any { return Scheme(r) }
func proto(r *http.Request) any {
	return fmt.Sprint(r.Proto, " ", r.ProtoMajor, " ", r.ProtoMinor)
}
func header(key string) func(*http.Request) any {
	return func(r *http.Request) any { return r.Header[key] }
}

func TestImpossibleRequestsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		vars   []string
		status int
		reason string
	}{
		{"empty block", nil, 400, "block of variables is empty"},
		{"no method", []string{"REQUEST_URI", "/"}, 400, "REQUEST_METHOD"},
		{"bad method", []string{"REQUEST_METHOD", "G T", "REQUEST_URI", "/"}, 400, "REQUEST_METHOD"},
		{"no target", []string{"REQUEST_METHOD", "GET"}, 400, "neither REQUEST_URI nor PATH_INFO"},
		{"relative target", minimalBut("REQUEST_URI", "x"), 400, "cannot be parsed"},
		{"bad escape", minimalBut("REQUEST_URI", "/%zz"), 400, "cannot be parsed"},
		{"control in target", minimalBut("REQUEST_URI", "/\x00"), 400, "cannot be parsed"},
		{"relative path", minimal("PATH_INFO", "x"), 400, "PATH_INFO"},
		{"control in query", minimal("QUERY_STRING", "\n"), 400, "QUERY_STRING"},
		{"bad version", minimalBut("SERVER_PROTOCOL", "HTTP/x"), 400, "SERVER_PROTOCOL"},
		{"bad host", minimal("HTTP_HOST", "a b"), 400, "host"},
		{"bad port", minimal("SERVER_NAME", "s", "SERVER_PORT", "x"), 400, "SERVER_PORT"},
		{"hosts differ", minimal("HTTP_HOST", "a", "HTTP_HOST", "b"), 400, "HTTP_HOST is given twice"},
		{"methods differ", minimal("REQUEST_METHOD", "POST"), 400, "REQUEST_METHOD is given twice"},
		{"no address", minimal("REMOTE_ADDR", "]]].2"), 400, "REMOTE_ADDR \"]]].2\" is no address"},
		{"address of two lines", minimal("REMOTE_ADDR", "1.1.1.1\n2.2.2.2"), 400, "is no address"},
		{"addresses differ", minimal("REMOTE_ADDR", "1.1.1.1", "REMOTE_ADDR", "2.2.2.2"), 400, "REMOTE_ADDR is given twice"},
		{"NUL in a header", minimal("HTTP_X_A", "a\x00b"), 400, "HTTP_X_A has a control"},
		{"line break in a header", minimal("HTTP_X_A", "a\r\nb"), 400, "HTTP_X_A has a control"},
		{"control in the type", minimal("CONTENT_TYPE", "a\nb"), 400, "CONTENT_TYPE"},
		{"nameless header", minimal("HTTP_", "a"), 400, "names no header"},
		{"bad header name", minimal("HTTP_A B", "a"), 400, "names no header"},
		{"chunked body left behind", minimal("HTTP_TRANSFER_ENCODING", "chunked", "CONTENT_LENGTH", ""), 411, "chunked"},
		{"unknown expectation", minimal("HTTP_EXPECT", "miracles"), 417, "expectation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mapRequest(packet(t, 0, tt.vars...))
			var pe *ProtocolError
			if !errors.As(err, &pe) || pe.Status != tt.status || !strings.Contains(pe.Reason, tt.reason) {
				t.Errorf("got %v, want %d %q", err, tt.status, tt.reason)
			}
		})
	}
}

// minimalBut is minimal with one value replaced.
func minimalBut(name, value string) []string {
	vars := minimal()
	vars[slices.Index(vars, name)+1] = value
	return vars
}

func TestVarsOfForeignRequest(t *testing.T) {
	r, _ := http.NewRequest("GET", "http://x/", nil)
	if VarsOf(r) != nil || Scheme(r) != "http" {
		t.Error("a request that came another way has variables")
	}
}

// FuzzNewRequest holds the mapping to what handlers rely on.
func FuzzNewRequest(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.bin")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(packet(f, 30, minimal("SCRIPT_NAME", "/app", "PATH_INFO", "/app/%2F")...))
	f.Add(packet(f, 0, minimalBut("REQUEST_URI", "//%2F%2e/../?%zz#f")...))
	f.Add(packet(f, 0, minimalBut("REQUEST_URI", "//%2F%2e/\xdd./")...))
	f.Add(packet(f, 0, minimal("REMOTE_ADDR", "]]]]]]].2", "REMOTE_PORT", "32959")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := mapRequest(b)
		if err != nil {
			return
		}
		if list, err := read(b, Limits{}); err != nil || !slices.Equal(VarsOf(r), list.Vars) {
			t.Fatalf("variables %q, want %q, %v", VarsOf(r), list.Vars, err)
		}
		if r.URL == nil || !validName(r.Method) {
			t.Fatalf("%+v", r)
		}
		// As with net/http, RawPath may hold bytes that no URL should: then EscapedPath
		// does not use it. What it says is the path all the same.
		if path, err := url.PathUnescape(r.URL.RawPath); r.URL.RawPath != "" && (err != nil || path != r.URL.Path) {
			t.Fatalf("RawPath %q does not encode Path %q", r.URL.RawPath, r.URL.Path)
		}
		for k, vs := range r.Header {
			if k != http.CanonicalHeaderKey(k) || k == "Proxy" || k == "Transfer-Encoding" || slices.ContainsFunc(vs, hasLineBreak) {
				t.Fatalf("header %q: %q", k, vs)
			}
		}
		if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil && r.RemoteAddr != "@" {
			t.Fatalf("RemoteAddr %q: %v", r.RemoteAddr, err)
		}
	})
}

func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
