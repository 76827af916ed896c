package strict

import (
	"bufio"
	"bytes"
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

// What is not malformed comes through as it was, however it is cut into pieces.
func TestGoodRequestsComeThrough(t *testing.T) {
	t.Parallel()
	for name, input := range good() {
		for size := 1; size <= len(input); size += max(1, size/2) {
			want, got := requests(bufio.NewReader(strings.NewReader(input))), requests(bufio.NewReader(pieces(input, size)))
			if want == "" || got != want {
				t.Errorf("%s, in pieces of %d:\n%s\nwant\n%s", name, size, got, want)
			}
		}
	}
}

func good() map[string]string {
	return map[string]string{
		"a request":               "GET /a?b=%zz HTTP/1.1\r\nHost: x:80\r\n\r\n",
		"HTTP/1.0 without a host": "GET / HTTP/1.0\r\n\r\n",
		"a body":                  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0005\r\n\r\nhello",
		"chunks":                  "POST / HTTP/1.1\r\nhost:\tx \r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n00A;a=\"b\"\r\n0123456789\r\n000\r\n\r\n",
		"a trailer":               "POST / HTTP/1.1\r\nHost: x\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSum: 1\r\nOther:\r\n\r\n",
		"a pipeline": "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
			"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a URL":             "GET HTTP://X.example/%41 HTTP/1.1\r\nHost: x.EXAMPLE\r\n\r\n",
		"OPTIONS *":         "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT":           "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
		"IPv6":              "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
		"an empty value":    "GET / HTTP/1.1\r\nHost: x\r\nX:\r\nY: \t\r\n\r\n",
		"bytes above ASCII": "GET /\xc3\xa9\xff HTTP/1.1\r\nHost: x\r\nX: \xc3\xa9\xff\ttab\r\n\r\n",
		"a large head":      "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", DefaultMaxHead-40) + "\r\n\r\n",
		"a large body":      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("b", 100000),
	}
}

// scripted is a net.Conn whose reads give pieces of the input.
type scripted struct {
	net.Conn
	input []byte
	size  int
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.input[:min(len(s.input), s.size)])
	s.input = s.input[n:]
	return n, nil
}

func (s *scripted) RemoteAddr() net.Addr { return nil }

// pieces is a Conn that gets input in pieces of a size. Connections are closed behind a
// CONNECT by net/http's doing or by ours, so that it is no part of what is compared here.
func pieces(input string, size int) *Conn {
	return newConn(&scripted{input: []byte(input), size: size}, &shared{opts: Options{MaxHead: DefaultMaxHead}})
}

// requests describes what net/http makes of a connection, up to its end or an error.
func requests(br *bufio.Reader) string {
	var out strings.Builder
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return out.String()
		}
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(&out, "%s %s %s host=%s %v length=%d te=%v body=%x %v trailer=%v\n", r.Method, r.URL, r.Proto, r.Host,
			r.Header, r.ContentLength, r.TransferEncoding, body, err, r.Trailer)
		if err != nil || r.Method == http.MethodConnect {
			return out.String()
		}
	}
}

// A handler runs while the next requests are there already; the answers keep their order, and
// the look for a client that has gone does not hurt them.
func TestPipelineWhileAHandlerRuns(t *testing.T) {
	t.Parallel()
	started, finish := make(chan struct{}), make(chan struct{})
	s := serve(t, Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1" {
			started <- struct{}{}
			<-finish
			if r.Context().Err() != nil {
				t.Error("the context of the running request has ended")
			}
		}
		readAll(w, r)
	}))
	c := dial(t, s.addr)
	io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
	<-started
	io.WriteString(c, "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\nHost: x\r\n\r\nBROKEN\r\n\r\n")
	close(finish)
	if got, err := answers(c); got != "200 200 200 400" || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	if got := strings.Join(s.paths(), ", "); got != "GET /1, POST /2, GET /3" {
		t.Errorf("served %s", got)
	}
}

func TestContextEndsWhenTheClientGoes(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	s := serve(t, Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(ended)
	}))
	c := dial(t, s.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-started
	c.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the handler was not told")
	}
}

func TestExpectContinueAndHead(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	c := dial(t, s.addr)
	br := bufio.NewReader(c)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("answered %v, %v; want 100", resp, err)
	}
	io.WriteString(c, "ok")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.ContentLength != 2 {
		t.Fatalf("answered %v, %v", resp, err)
	}
	br.Discard(2)
	io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(br, &http.Request{Method: "HEAD"}); err != nil || resp.StatusCode != 200 {
		t.Errorf("HEAD answered %v, %v", resp, err)
	}
}

// upgrade hijacks and sends back what comes, read the way libraries read it: first what
// net/http has buffered, then the connection.
func upgrade(t *testing.T, wait <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		<-wait
		nc, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		first, _ := brw.Reader.Peek(brw.Reader.Buffered())
		nc.Write(first)
		io.Copy(nc, nc)
	}
}

// Bytes behind the head of an upgrade belong to the other protocol, also those that were there
// before the answer: nothing of them is judged, lost or repeated.
func TestHijackedConnectionsAreLetThrough(t *testing.T) {
	t.Parallel()
	const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	noise := make([]byte, 20000) // NUL first: no method of HTTP
	for i := range noise {
		noise[i] = byte(i * 7)
	}
	for name, cut := range map[string][2]int{
		"all at once": {0, len(noise)}, "behind the answer": {0, 0}, "one byte while the handler runs": {1, 1},
		"some while the handler runs": {9000, 9000}, "with the head and while the handler runs": {9000, 100},
	} {
		wait := make(chan struct{})
		s := serve(t, Options{}, upgrade(t, wait), func(srv *http.Server) {
			srv.ConnState = func(c net.Conn, state http.ConnState) { ConnState(embedding{c.(*Conn)}, state) }
		})
		c := dial(t, s.addr)
		withHead, early := cut[1], max(cut[0], cut[1])
		if name == "one byte while the handler runs" || name == "some while the handler runs" {
			withHead = 0
		}
		c.Write(append([]byte(head), noise[:withHead]...))
		c.Write(noise[withHead:early])
		<-s.seen
		close(wait)
		br := bufio.NewReader(c)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%s: answered %v, %v", name, resp, err)
		}
		go func() { c.Write(noise[early:]); c.CloseWrite() }()
		got, err := io.ReadAll(br)
		if err != nil || !bytes.Equal(got, noise) {
			t.Errorf("%s: %d bytes came back, want %d; equal: %t, %v", name, len(got), len(noise), bytes.Equal(got, noise), err)
		}
		if n := len(s.refusals()); n > 0 {
			t.Errorf("%s: refused %v", name, s.refusals())
		}
	}
}

// embedding is what a server may make of a connection.
type embedding struct{ *Conn }

// An upgrade that the handler declines leaves the connection to HTTP; a CONNECT does not,
// because a proxy in front may already take it for a tunnel.
func TestDeclinedUpgrades(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	next := "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	if got := s.exchange(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"+next, false); got != "200 200" {
		t.Errorf("upgrade: answered %q", got)
	}
	s.paths()
	if got := s.exchange(t, "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"+next, false); got != "200" || len(s.paths()) != 1 {
		t.Errorf("CONNECT: answered %q", got)
	}
}

func TestHTTP2ComesThroughWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s := serve(t, Options{HTTP2: true}, http.HandlerFunc(readAll), func(srv *http.Server) { srv.Protocols = both })
	two := new(http.Protocols)
	two.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: two}
	defer tr.CloseIdleConnections()
	body := strings.Repeat("x", 100000)
	for range 3 {
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Post("http://"+s.addr+"/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 || string(got) != body || err != nil {
			t.Errorf("%s, %d bytes, %v", resp.Proto, len(got), err)
		}
	}
	if got := s.exchange(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", false); got != "200 400" {
		t.Errorf("HTTP/1 beside it: answered %q", got)
	}
	if got := s.exchange(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"+preface, false); got != "200 400" {
		t.Errorf("a preface in the middle: answered %q", got)
	}
}

// A head that dribbles on a kept connection falls under the server's limit for heads, not
// under the longer one for idle connections.
func TestHeaderTimeoutHoldsOnKeptConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll), func(srv *http.Server) {
		srv.ReadHeaderTimeout, srv.IdleTimeout = 2*time.Second, time.Hour
	})
	c := dial(t, s.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost:")
	// net/http takes what came before the timeout for a line, and says so; no refusal of ours.
	if got, err := answers(c); got != "200 400" || err != nil || len(s.refusals()) > 0 {
		t.Errorf("answered %q, %v; refusals %v", got, err, s.refusals())
	}
}

// fromReader tells whether a file came as a whole, for the kernel to copy.
type fromReader struct {
	*net.TCPConn
	files chan<- bool
}

func (f fromReader) ReadFrom(src io.Reader) (int64, error) {
	if l, ok := src.(*io.LimitedReader); ok {
		_, isFile := l.R.(*os.File)
		f.files <- isFile
	}
	return f.TCPConn.ReadFrom(src)
}

type fromReaders struct {
	net.Listener
	files chan<- bool
}

func (l fromReaders) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return fromReader{c.(*net.TCPConn), l.files}, nil
}

func TestFilesKeepTheirWayToSendfile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files := make(chan bool, 10)
	srv := &http.Server{ConnState: ConnState, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(Listener(fromReaders{ln, files}, Options{})) }()
	defer func() { srv.Close(); <-done }()
	c := dial(t, ln.Addr().String())
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if got, err := answers(c); got != "200" || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	select {
	case isFile := <-files:
		if !isFile {
			t.Error("ReadFrom got no file")
		}
	default:
		t.Error("ReadFrom was not called")
	}
}
