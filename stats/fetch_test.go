package stats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// serve answers on an address until the test ends.
func serve(t *testing.T, network, addr string, h http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String()
}

func sendFull(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/stats" {
		http.Error(w, "no", http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(full())
}

func TestFetchFindsItsWay(t *testing.T) {
	addrs := map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")}
	if runtime.GOOS == "linux" {
		addrs["abstract"] = fmt.Sprintf("@ostler-test-%d", os.Getpid())
	}
	for name, addr := range addrs {
		t.Run(name, func(t *testing.T) {
			network := "unix"
			if name == "tcp" {
				network = "tcp"
			}
			at := serve(t, network, addr, sendFull)
			got, err := Fetch(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := generic(t, got), generic(t, full()); !reflect.DeepEqual(got, want) {
				t.Errorf("fetched\n%v\nwant\n%v", got, want)
			}
			if name == "tcp" {
				if _, err := Fetch(t.Context(), "http://"+at+"/stats"); err != nil {
					t.Errorf("as a URL: %v", err)
				}
			}
		})
	}
}

func TestFetchSaysWhatWentWrong(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	at := func(h http.HandlerFunc) string { return serve(t, "tcp", "127.0.0.1:0", h) }
	write := func(s string) string {
		return at(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	for _, c := range []struct{ name, addr, want string }{
		{"no socket", missing, "fetch stats from " + missing + ": dial unix " + missing + ": connect: no such file"},
		{"another server", at(http.NotFound), "answered 404 Not Found"},
		{"a redirect", at(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }), "answered 302 Found"},
		{"not JSON", write("<html>"), "not a stats document: invalid character"},
		{"cut off", write(`{"version":"1","workers":[{`), "not a stats document: unexpected EOF"},
		{"nothing", write(""), "not a stats document: EOF"},
		{"floats", write(`{"load":1.5}`), "not a stats document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Fetch(t.Context(), c.addr)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Fetch: %v, want %q", err, c.want)
			}
		})
	}
}

// uWSGI's own stats server says no word of http, and may be done before it is asked.
func TestFetchReadsADocumentWithoutAHead(t *testing.T) {
	for _, wait := range []bool{false, true} {
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if wait { // for the request
				_, _ = c.Read(make([]byte, 1))
			}
			_ = json.NewEncoder(c).Encode(full())
		}()
		got, err := Fetch(t.Context(), ln.Addr().String())
		if err != nil || !reflect.DeepEqual(generic(t, got), generic(t, full())) {
			t.Errorf("waiting %v: %v, %+v", wait, err, got)
		}
		<-done
		_ = ln.Close()
	}
}

func TestFetchSaysThatNobodyAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			_ = c.Close()
		}
	}()
	if _, err := Fetch(t.Context(), ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "no answer: ") {
		t.Errorf("Fetch: %v", err)
	}
}

func TestADocumentHasALimit(t *testing.T) {
	const open, end = `{"cwd":"`, `"}`
	fill := func(n int) string { return open + strings.Repeat("x", n-len(open)-len(end)) + end }
	if _, err := read(strings.NewReader(fill(1000)), 1000); err != nil {
		t.Errorf("as long as the limit: %v", err)
	}
	for name, r := range map[string]io.Reader{
		"one byte more": strings.NewReader(fill(1001)),
		"endless":       io.MultiReader(strings.NewReader(open), endless{}),
	} {
		if _, err := read(r, 1000); err == nil || err.Error() != "the document is longer than 1000 bytes" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless is the rest of a string that never closes.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestFetchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	at := serve(t, "tcp", "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := Fetch(ctx, at); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch: %v, want context.Canceled", err)
	}
}

// FuzzRead: no document makes Fetch's decoder panic, and what it accepts has one form.
func FuzzRead(f *testing.F) {
	for _, s := range []Snapshot{full(), bare(), {}} {
		b, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"workers":null,"sockets":[null],"locks":[{"a":1},null]}`))
	f.Add([]byte(`{"workers":[{"requests":18446744073709551615,"cores":[{"vars":["A=B",""],"req_info":{"request_start":1}}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := read(bytes.NewReader(in), maxDocument)
		if err != nil {
			return
		}
		once, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(bytes.NewReader(once), maxDocument)
		if err != nil {
			t.Fatalf("%s is not accepted: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s is read as %s, %v", once, twice, err)
		}
	})
}
