package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// Ten reloads under clients of HTTP/2 whose requests cannot be repeated.
func TestReloadsLoseNoHTTP2Request(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, `
module = "echo"
processes = 2
threads = 8
http-socket = "$DIR/h2c"
disable-logging = true
`+secure("h2", dir, "one"))
	tcp := func() net.Conn { return i.Dial("h2c") }
	overTLS := func() net.Conn { return dialTLS(t, i.Dial("h2"), roots) }
	var loads []*servertest.Load
	for range 3 {
		loads = append(loads, servertest.Run(t, 1, streams(t, tcp)), servertest.Run(t, 1, streams(t, overTLS)))
	}
	for n := range soaking(4, 10) {
		var seen [6]int64
		for k, l := range loads {
			seen[k] = l.Done()
		}
		i.Until("every client is at work", func() bool {
			for k, l := range loads {
				if l.Done() < seen[k]+10 {
					return false
				}
			}
			return true
		})
		i.Signal(syscall.SIGHUP)
		i.WaitFor("the next generation serves", func(s stats.Snapshot) bool { return s.Generation == n+2 && s.State == "serving" })
	}
	for _, l := range loads {
		l.MustLoseNothing()
	}
	if log := i.Log(); strings.Contains(log, "were cut") {
		t.Errorf("a worker had to be cut:\n%s", log)
	}
}

// h2conn is a client of HTTP/2 that does as it is told.
type h2conn struct {
	net.Conn
	t   *testing.T
	err error // of the first write that failed; the next read returns it
}

// dialH2 speaks HTTP/2 on a plain connection.
func dialH2(t *testing.T, c net.Conn) *h2conn {
	t.Helper()
	h := &h2conn{Conn: c, t: t}
	h.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	h.frame(4, 0, 0, "")
	return h
}

func (h *h2conn) send(s string) {
	if _, err := io.WriteString(h, s); err != nil && h.err == nil {
		h.err = err
	}
}

func (h *h2conn) frame(kind, flags byte, stream uint32, payload string) {
	h.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	h.send(string(binary.BigEndian.AppendUint32(b, stream)) + payload)
}

// dialTLS agrees on HTTP/2.
func dialTLS(t *testing.T, c net.Conn, roots *x509.CertPool) net.Conn {
	t.Helper()
	tc := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err := tc.Handshake(); err != nil || tc.ConnectionState().NegotiatedProtocol != "h2" {
		t.Errorf("handshake: %v", err)
	}
	return tc
}

// streams is a request for servertest.Run: a connection with a hundred POSTs, several at a
// time, or with as many as the server's goodbye lets it begin. Each must be answered,
// also those that were sent before the goodbye was read.
//
// net/http's client is of no use here: it gives up on a request whose connection says
// goodbye before anything of it was sent.
func streams(t *testing.T, dial func() net.Conn) func() error {
	return func() error {
		c := dial()
		defer c.Close()
		h := dialH2(t, c)
		h.frame(8, 0, 0, "\x40\x00\x00\x00") // room for all answers
		open := map[uint32]bool{}
		bye := false
		for next := uint32(1); ; {
			for len(open) < 4 && !bye && next < 200 {
				h.post(next)
				h.frame(0, 1, next, strings.Repeat("x", 1000))
				open[next] = true
				next += 2
			}
			if len(open) == 0 {
				return nil
			}
			kind, flags, stream, payload, err := h.read()
			switch {
			case err != nil:
				return fmt.Errorf("%d streams are not answered (goodbye: %t): %w", len(open), bye, err)
			case kind == 7:
				bye = true
			case kind == 3:
				return fmt.Errorf("stream %d was reset: % x", stream, payload)
			case kind == 1 && payload[0] != 0x88: // :status 200
				return fmt.Errorf("stream %d was answered % x", stream, payload)
			}
			if kind < 2 && flags&1 != 0 {
				delete(open, stream)
			}
		}
	}
}

// get begins a GET; its header is literal, so that nothing depends on what came before.
func (h *h2conn) get(stream uint32) {
	h.t.Helper()
	const endStream, endHeaders = 1, 4
	h.frame(1, endStream|endHeaders, stream, "\x82\x86\x84\x01\x09localhost") // GET, http, /, :authority
}

// post begins a POST, whose body is to come.
func (h *h2conn) post(stream uint32) {
	h.frame(1, 4, stream, "\x83\x86\x84\x01\x09localhost")
}

// read reads a frame.
func (h *h2conn) read() (kind, flags byte, stream uint32, payload []byte, err error) {
	head := make([]byte, 9)
	if _, err = io.ReadFull(h, head); err != nil {
		return 0, 0, 0, nil, errors.Join(h.err, err)
	}
	payload = make([]byte, binary.BigEndian.Uint32(head)>>8)
	_, err = io.ReadFull(h, payload)
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]), payload, err
}

// next reads frames until one of a kind, and gives its stream and payload.
func (h *h2conn) next(want byte) (stream uint32, payload []byte) {
	h.t.Helper()
	for {
		kind, _, stream, payload, err := h.read()
		if err != nil {
			h.t.Fatalf("waiting for a frame of type %d: %v", want, err)
		}
		if kind == want {
			return stream, payload
		}
	}
}

// What a client sends before it has read the goodbye is served, also on a connection that
// was idle; what it goes on to send is not, and the connection ends.
func TestADrainSaysGoodbyeTwice(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.NewReplacer("processes = 2", "processes = 1", "threads = 2", "threads = 4").Replace(gated))
	gate := servertest.NewGate(t, i.Dir)
	busy, idle := dialH2(t, i.Dial("http")), dialH2(t, i.Dial("http"))
	busy.get(1)
	i.Until("its handler runs", func() bool { return gate.Inside() == 1 })
	idle.next(4)
	i.Signal(syscall.SIGHUP)
	for name, c := range map[string]*h2conn{"busy": busy, "idle": idle} {
		if _, payload := c.next(7); binary.BigEndian.Uint32(payload) != 1<<31-1 {
			t.Errorf("%s: the first goodbye is % x, want one that lets everything in", name, payload)
		}
	}
	busy.get(3) // sent before it was read, as far as the server can know
	idle.get(1)
	i.Until("they are served", func() bool { return gate.Inside() == 3 })
	_, payload := busy.next(7)
	if last := binary.BigEndian.Uint32(payload); last != 3 {
		t.Errorf("the second goodbye names stream %d, want 3", last)
	}
	gate.Open()
	for _, want := range []struct {
		c       *h2conn
		answers int
	}{{busy, 2}, {idle, 1}} {
		for range want.answers {
			want.c.next(1)
		}
	}
	for _, c := range []*h2conn{busy, idle} {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("the end of the connection: %v", err)
		}
	}
	i.WaitFor("the old workers are gone", func(s stats.Snapshot) bool { return s.Generation == 2 && s.State == "serving" })
	if log := i.Log(); strings.Contains(log, "cut") {
		t.Errorf("a connection had to be cut:\n%s", log)
	}
}

// Streams are requests like any others: no more than the slots run, the rest wait.
func TestStreamsWaitForSlots(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, strings.Replace(gated, "processes = 2", "processes = 1", 1)+"\n")
	gate := servertest.NewGate(t, i.Dir)
	rt := i.HTTP2("http", nil).Transport
	answers := make(chan error, 10)
	for range cap(answers) {
		go func() { answers <- through(rt) }()
	}
	i.Until("two handlers run", func() bool { return gate.Inside() == 2 })
	gate.Open()
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Errorf("lost: %v", err)
		}
	}
	if gate.Most() != 2 {
		t.Errorf("%d handlers ran at once, want the 2 slots", gate.Most())
	}
	s := i.WaitFor("all are counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests == 10 })
	if s.Workers[0].Tx < 10*uint64(len("through\n")) {
		t.Errorf("%d bytes are counted", s.Workers[0].Tx)
	}
}

// The body that is refused ends its stream, and no other one.
func TestARefusedBodyEndsItsStreamOnly(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, `
module = "echo"
processes = 1
http-socket = "$DIR/http"
limit-post = "1KiB"
`, apps()...)
	rt := i.HTTP2("http", nil).Transport
	for n := range 3 {
		resp, err := rt.RoundTrip(post(t, "http://localhost/", strings.NewReader(strings.Repeat("x", 100_000))))
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("request %d: %s", n, resp.Status)
		}
	}
	if status, body := get(t, rt, "http://localhost/"); status != http.StatusOK || body != "" {
		t.Errorf("%d %q", status, body)
	}
	if n := strings.Count(i.Log(), "http2"); n > 0 {
		t.Errorf("the log has %d lines about it:\n%s", n, i.Log())
	}
}

func post(t *testing.T, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// The second answer shows that the connection is the same: its number is the stream's.
func TestHTTP2KeepsOneConnection(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, "module = \"who\"\nprocesses = 1\nhttp-socket = \"$DIR/http\"\n", apps()...)
	c := dialH2(t, i.Dial("http"))
	for _, id := range []uint32{1, 3, 5} {
		c.get(id)
		if stream, _ := c.next(1); stream != id {
			t.Errorf("answer on stream %d, want %d", stream, id)
		}
		if _, body := c.next(0); !strings.HasPrefix(string(body), "HTTP/2.0 http ") {
			t.Errorf("%q", body)
		}
	}
}
