package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/server/strict/malformed"
	"github.com/seed17661985/ostler/stats"
)

const strictly = `
module = "transfers"
processes = 2
threads = 4
http-socket = "$DIR/http"
disable-logging = true
`

// transfers is an application for everything that a connection can carry.
func transfers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo)
	mux.HandleFunc("/smuggled", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(os.Stderr, "the smuggled request was served") // standard error is the log
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, r.FormValue("of"))
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		nc, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		first, _ := brw.Reader.Peek(brw.Reader.Buffered()) // what is buffered cannot be missing
		_, _ = nc.Write(first)
		_, _ = io.Copy(nc, nc)
	})
	return mux
}

// raw is a connection to the http socket of i.
func raw(t *testing.T, i *servertest.Instance) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(i.Dir, "http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

// exchange sends input and returns the statuses that come until the server closes.
func exchange(t *testing.T, i *servertest.Instance, input string) string {
	t.Helper()
	c := raw(t, i)
	defer c.Close()
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { _, _ = io.WriteString(c, input) }) // may be refused before its end
	br, list := bufio.NewReader(c), []string(nil)
	for {
		resp, err := http.ReadResponse(br, nil)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return strings.Join(list, " ")
		}
		if err != nil {
			t.Fatalf("read an answer to %.60q: %v", input, err)
		}
		list = append(list, fmt.Sprint(resp.StatusCode))
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("read an answer to %.60q: %v", input, err)
		}
	}
}

// Each malformed request is answered, with one line in the log that names peer and cause; what
// hides in it is not served; the next request is.
func TestMalformedHTTPIsRefusedOverRealWorkers(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strictly)
	list, err := malformed.Requests()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 150 {
		t.Fatalf("only %d requests", len(list))
	}
	exchange(t, i, "GET / HTTP/1.0\r\n\r\n")
	seen := len(i.Log())
	for _, m := range list {
		if got := exchange(t, i, m.Input); got != m.Status {
			t.Errorf("%s: answered %q, want %q", m.Name, got, m.Status)
		}
		log := i.Log()[seen:]
		seen += len(log)
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, "http request refused: ") || !strings.Contains(log, m.Cause) || !strings.Contains(log, " peer=") {
			t.Errorf("%s: logged %q, want one line with %q", m.Name, log, m.Cause)
		}
		if got := exchange(t, i, "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); got != "200" {
			t.Fatalf("%s: the next request is answered %q", m.Name, got)
		}
	}
}

func TestGoodHTTPWorksOverRealWorkers(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strictly)
	rt := i.HTTP("http").Transport
	file := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(filepath.Join(i.Dir, "file"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, rt, "http://x/file?of="+filepath.Join(i.Dir, "file")); status != 200 || body != string(file) {
		t.Errorf("a file: status %d, %d bytes, want %d", status, len(body), len(file))
	}
	if resp, err := i.HTTP("http").Head("http://x/file?of=" + filepath.Join(i.Dir, "file")); err != nil || resp.ContentLength != int64(len(file)) {
		t.Errorf("HEAD of a file: %v, %v", resp, err)
	}
	for name, body := range map[string]io.Reader{
		"with a length": bytes.NewReader(file), "in chunks": struct{ io.Reader }{bytes.NewReader(file)},
	} {
		req, err := http.NewRequest("POST", "http://x/", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, file) {
			t.Errorf("an upload %s: %d bytes came back, want %d; %v", name, len(got), len(file), err)
		}
	}
	pipeline := "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabPOST / HTTP/1.1\r\nHost: x\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nSum: 1\r\n\r\nGET / HTTP/1.0\r\n\r\n"
	if got := exchange(t, i, pipeline); got != "200 200 200 200" {
		t.Errorf("a pipeline: answered %q", got)
	}
	if strings.Contains(i.Log(), "refused") {
		t.Errorf("a good request was refused\n%s", i.Log())
	}
}

func TestExpectContinueOverRealWorkers(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strictly)
	c := raw(t, i)
	br := bufio.NewReader(c)
	for range 2 { // and the connection is kept
		for _, step := range []struct {
			send string
			want int
		}{{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", 100}, {"ok", 200}} {
			if _, err := io.WriteString(c, step.send); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != step.want {
				t.Fatalf("%q: answered %v, %v; want %d", step.send, resp, err, step.want)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What comes behind the head of an upgrade is not HTTP, whenever it comes, and is not judged.
func TestUpgradeOverRealWorkers(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strictly)
	noise := bytes.Repeat([]byte{0, 1, 0x80, '\n', 0xff, '\r'}, 2000)
	c := raw(t, i)
	head := "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	if _, err := c.Write(append([]byte(head), noise[:100]...)); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %v, %v", resp, err)
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		_, _ = c.Write(noise[100:]) // what is missing is missed below
		_ = c.CloseWrite()
	})
	if got, err := io.ReadAll(br); err != nil || !bytes.Equal(got, noise) {
		t.Errorf("%d bytes came back, want %d; equal: %t, %v", len(got), len(noise), bytes.Equal(got, noise), err)
	}
	if strings.Contains(i.Log(), "refused") {
		t.Errorf("the log has a refusal\n%s", i.Log())
	}
}

// A drain serves a request once more on an idle connection, also one of which a part has come.
func TestDrainServesAHeadThatHasBegun(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(strictly, "processes = 2", "processes = 1", 1))
	c := raw(t, i)
	br := bufio.NewReader(c)
	answer := func(send string) *http.Response {
		if _, err := io.WriteString(c, send); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp
	}
	answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	i.Signal(syscall.SIGTERM)
	i.WaitFor("the worker drains", func(s stats.Snapshot) bool { return s.State == "stopping" })
	if resp := answer("st: x\r\n\r\n"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("status %d, close %t", resp.StatusCode, resp.Close)
	}
	if err := i.Wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, i.Log())
	}
}
