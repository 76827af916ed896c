package pool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// checkFree fails unless every slot can be taken and is not shown as running.
func checkFree(t *testing.T, p *Pool) {
	t.Helper()
	p.admission.mu.Lock()
	free := len(p.admission.free)
	p.admission.mu.Unlock()
	if free != p.opts.Slots {
		t.Errorf("%d of %d slots are free", free, p.opts.Slots)
	}
	for i, row := range p.rows {
		if row.InUse() {
			t.Errorf("slot %d still shows a request", i)
		}
	}
}

func TestSlotComesBackWhateverTheHandlerDoes(t *testing.T) {
	panicking := func(when func(w http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { when(w); panic("deliberate") }
	}
	tests := map[string]struct {
		handler    http.HandlerFunc
		status     int // of the response; 0: the connection is aborted
		exceptions uint64
	}{
		"return":                         {func(w http.ResponseWriter, r *http.Request) {}, 200, 0},
		"panic":                          {panicking(func(http.ResponseWriter) {}), 500, 1},
		"panic after the header was set": {panicking(func(w http.ResponseWriter) { w.Header().Set("Content-Length", "999") }), 500, 1},
		"panic after 103":                {panicking(func(w http.ResponseWriter) { w.WriteHeader(103) }), 500, 1},
		"panic after the first byte":     {panicking(func(w http.ResponseWriter) { io.WriteString(w, "half") }), 0, 1},
		"panic after a flush":            {panicking(func(w http.ResponseWriter) { w.(http.Flusher).Flush() }), 0, 1},
		"panic with nil":                 {func(w http.ResponseWriter, r *http.Request) { panic(nil) }, 500, 1},
		"panic with an uncomparable":     {func(w http.ResponseWriter, r *http.Request) { panic([]int{1}) }, 500, 1},
		"abort":                          {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, 0, 0},
		"goexit":                         {func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() }, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stacks := make(chan string, 1)
			done := make(chan Result, 1)
			p := newPool(t, Options{Slots: 1,
				OnPanic: func(r *http.Request, v any, stack []byte) { stacks <- string(stack) },
				OnDone:  func(r *http.Request, res Result) { done <- res },
			})
			ln := listen(t)
			serveHTTP(t, p, ln, test.handler)
			c := dial(t, ln.Addr())
			res, body, err := c.do("GET", "/", "")
			reported := <-done
			if test.status == 0 && err == nil {
				t.Errorf("got a complete response %d %q", res.StatusCode, body)
			}
			if test.status != 0 {
				if err != nil || res.StatusCode != test.status || reported.Status != test.status {
					t.Errorf("got %v %v, reported %+v, want %d", res, err, reported, test.status)
				}
			}
			if total := p.opts.Page.Totals(); total.Requests != 1 || total.Exceptions != test.exceptions {
				t.Errorf("%d requests and %d exceptions counted, want %d", total.Requests, total.Exceptions, test.exceptions)
			}
			if test.exceptions > 0 && !strings.Contains(<-stacks, "TestSlotComesBack") {
				t.Error("the stack does not name the handler")
			}
			checkFree(t, p)
		})
	}
}

func TestPanicInOnPanicKeepsTheSlot(t *testing.T) {
	p := newPool(t, Options{Slots: 1, OnPanic: func(*http.Request, any, []byte) { panic("again") }})
	func() {
		defer func() { _ = recover() }()
		p.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("first") })).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	checkFree(t, p)
}

func TestClientAbortFreesTheSlot(t *testing.T) {
	ended := make(chan Result, 1)
	p := newPool(t, Options{Slots: 1, OnDone: func(_ *http.Request, res Result) { ended <- res }})
	ln := listen(t)
	entered := make(chan struct{})
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	c := dial(t, ln.Addr())
	if err := c.send("GET", "/", ""); err != nil {
		t.Fatal(err)
	}
	<-entered
	c.conn.Close()
	<-ended
	checkFree(t, p)
}

func TestHijackGivesTheSlotBack(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ln := listen(t)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/echo" {
			io.WriteString(w, "plain")
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(nc, rw)
	})
	up := dial(t, ln.Addr())
	if res, _, err := up.do("GET", "/echo", ""); err != nil || res.StatusCode != 101 {
		t.Fatalf("upgrade: %v %v", res, err)
	}
	if _, body := dial(t, ln.Addr()).mustGet(t, "/"); body != "plain" {
		t.Errorf("beside the upgraded connection: %q", body)
	}
	if left := p.InFlight(); len(left) != 1 || left[0].Slot != -1 || left[0].Path != "/echo" {
		t.Errorf("in flight: %+v", left)
	}
	io.WriteString(up.conn, "hello")
	buf := make([]byte, 5)
	if _, err := io.ReadFull(up.br, buf); err != nil || string(buf) != "hello" {
		t.Errorf("echo: %q %v", buf, err)
	}
	if total := p.opts.Page.Totals(); total.Status[1] != 1 {
		t.Errorf("status classes %v", total.Status)
	}
}

func TestPanicAfterHijackClosesTheConnection(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ln := listen(t)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
			t.Error(err)
		}
		panic("deliberate")
	})
	c := dial(t, ln.Addr())
	if err := c.send("GET", "/", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read after the panic: %v", err)
	}
	checkFree(t, p)
}

func TestResultsAreReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789abcdef"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		method, body string
		handler      http.HandlerFunc
		status       int
		bytes        int64
	}{
		"nothing written": {"GET", "", func(w http.ResponseWriter, r *http.Request) {}, 200, 0},
		"write":           {"GET", "", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("abc")) }, 200, 3},
		"string":          {"GET", "", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "abcd") }, 200, 4},
		"status":          {"GET", "", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 404) }, 404, 3},
		"early hints":     {"GET", "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(202) }, 202, 0},
		"head":            {"HEAD", "", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("abc")) }, 200, 0},
		"flush":           {"GET", "", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); w.Write([]byte("a")) }, 200, 1},
		"file":            {"GET", "", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }, 200, 1_600_000},
		"copied":          {"GET", "", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader("abcde")) }, 200, 5},
		"full duplex": {"POST", strings.Repeat("x", 100_000), func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.Copy(w, r.Body)
		}, 200, 100_000},
		"body echoed": {"POST", strings.Repeat("x", 100_000), func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		}, 200, 100_000},
		"body unread":  {"POST", strings.Repeat("x", 100_000), func(w http.ResponseWriter, r *http.Request) {}, 200, 0},
		"no body type": {"GET", "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, 204, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan Result, 1)
			p := newPool(t, Options{Slots: 1, SocketTimeout: time.Minute, OnDone: func(_ *http.Request, res Result) { done <- res }})
			ln := listen(t)
			serveHTTP(t, p, ln, test.handler)
			c := dial(t, ln.Addr())
			if err := c.send(test.method, "/path?query=secret", test.body); err != nil {
				t.Fatal(err)
			}
			res, body, err := c.receive(test.method)
			if err != nil || res.StatusCode != test.status || int64(len(body)) != test.bytes {
				t.Fatalf("got %v with %d bytes, %v", res, len(body), err)
			}
			reported := <-done
			if reported.Status != test.status || reported.Bytes != test.bytes || reported.Slot != 0 || reported.Took <= 0 {
				t.Errorf("reported %+v", reported)
			}
			// A write is counted when it has returned, and by then the client may have read it.
			if err := errors.Join(c.conn.Close(), p.Drain(t.Context(), 0)); err != nil {
				t.Fatal(err)
			}
			total := p.opts.Page.Totals()
			if total.Tx < uint64(test.bytes) || total.Rx < uint64(len(test.body)) {
				t.Errorf("counted %d bytes in, %d out", total.Rx, total.Tx)
			}
			if total.ReadErrors+total.WriteErrors != 0 {
				t.Errorf("counted %d read and %d write errors", total.ReadErrors, total.WriteErrors)
			}
		})
	}
}

func TestErrorsOfTheClientAreCounted(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	ln := listen(t)
	ended := make(chan struct{})
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		for range 100 { // until the kernel has noticed
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	c := dial(t, ln.Addr())
	io.WriteString(c.conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	c.conn.Close()
	<-ended
	if total := p.opts.Page.Totals(); total.ReadErrors != 1 || total.WriteErrors != 1 {
		t.Errorf("%d read errors, %d write errors", total.ReadErrors, total.WriteErrors)
	}
}

func TestWhatTheServerCannotDoIsNoErrorOfTheClient(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
	})).ServeHTTP(&blank{http.Header{}}, httptest.NewRequest("GET", "/", nil))
	if n := p.opts.Page.Totals().WriteErrors; n != 0 {
		t.Errorf("%d write errors", n)
	}
	checkFree(t, p)
}

func TestRequestInFlightIsShownWithoutItsQuery(t *testing.T) {
	p := newPool(t, Options{Slots: 2})
	ln := listen(t)
	serveHTTP(t, p, ln, func(w http.ResponseWriter, r *http.Request) {
		for _, f := range p.InFlight() {
			io.WriteString(w, f.Method+" "+f.Path+" "+f.Peer)
		}
	})
	c := dial(t, ln.Addr())
	if _, body := c.mustGet(t, "/a%20b?password=secret"); body != "GET /a b "+c.conn.LocalAddr().String() {
		t.Errorf("shown as %q", body)
	}
}

// A server without our hooks, such as httptest's, must work all the same.
func TestHandlerWorksWithoutAGate(t *testing.T) {
	p := newPool(t, Options{Slots: 1, SocketTimeout: time.Second})
	srv := httptest.NewServer(p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})))
	defer srv.Close()
	res, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "hello" {
		t.Errorf("got %q", body)
	}
}

func TestContextOfAConnectionKeepsItsValues(t *testing.T) {
	p := newPool(t, Options{Slots: 1})
	server, peer := net.Pipe()
	defer peer.Close()
	c := p.newConn(server, 0)
	defer c.Conn.Close()
	type key struct{}
	parent := context.WithValue(context.Background(), key{}, "value")
	ctx, stop := context.WithCancel(p.ConnContext(parent, c))
	defer stop()
	if ctx.Value(key{}) != "value" || connOf(ctx) != c {
		t.Error("a value was lost")
	}
	if got := p.ConnContext(parent, peer); got != parent {
		t.Error("a connection that is not ours was given a context")
	}
}

// Libraries assert http.CloseNotifier without looking whether it is there.
func TestCloseNotifyIsPassedOn(t *testing.T) {
	t.Parallel()
	p := New(Options{Slots: 1, Page: newPage(t, 1)})
	told := make(chan bool)
	h := p.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		go func() { told <- true }()
		<-w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
	}))
	h.ServeHTTP(notifier{httptest.NewRecorder(), told}, httptest.NewRequest(http.MethodGet, "/", nil))
}

type notifier struct {
	http.ResponseWriter
	gone chan bool
}

func (n notifier) CloseNotify() <-chan bool { return n.gone }

func TestHTTP2AnswersSayNothingAboutTheConnection(t *testing.T) {
	t.Parallel()
	p := newPool(t, Options{Slots: 1})
	h := p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "X-Kept"} {
			w.Header().Set(name, "x")
		}
		w.WriteHeader(http.StatusUpgradeRequired)
	}))
	for major, want := range map[int]int{1: 5, 2: 1} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.ProtoMajor = major
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if got := rec.Result().Header; len(got) != want || got.Get("X-Kept") == "" {
			t.Errorf("HTTP/%d: %v", major, got)
		}
	}
}
