package strict

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// reading is what came of reading a connection as net/http does.
type reading struct {
	requests string
	refused  *Refusal
}

// read reads all requests of input, which comes in pieces of a size, and compares what the
// framer took them for with what net/http does.
func read(t *testing.T, input string, size int) reading {
	var res reading
	s := &shared{opts: Options{MaxHead: 4096, OnRefuse: func(_ net.Addr, r *Refusal) {
		if res.refused != nil {
			t.Fatalf("refused twice: %v, %v", res.refused, r)
		}
		res.refused = r
	}}}
	c := newConn(&scripted{input: []byte(input), size: size}, s)
	br := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(br)
		if res.refused != nil && !c.framer.inMessage {
			if err == nil && r.ProtoMajor == 1 {
				t.Fatalf("%q: refused (%v), and net/http read %v", input, res.refused, r)
			}
			return res
		}
		if err != nil {
			if err != io.EOF || br.Buffered() > 0 {
				t.Fatalf("%q: let through, but net/http says %v", input, err)
			}
			return res
		}
		res.requests += compare(t, input, c, br, r) + "\n"
		if c.framer.phase != between || r.Method == http.MethodConnect {
			return res
		}
	}
}

// compare reads the body of r and checks that both see the same request and the same end.
func compare(t *testing.T, input string, c *Conn, br *bufio.Reader, r *http.Request) string {
	h := c.framer.head
	chunked := len(r.TransferEncoding) == 1
	if chunked != h.chunked || !chunked && r.ContentLength != h.length || (r.ContentLength > 0) != (h.length > 0) {
		t.Fatalf("%q: framed as length %d, chunked %t; net/http: %d, %v", input, h.length, h.chunked, r.ContentLength, r.TransferEncoding)
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case err == nil && (c.framer.phase != between || br.Buffered() > 0):
		t.Fatalf("%q: net/http is at the end of the body, the framer in %s; %d bytes are buffered", input, c.framer.phase, br.Buffered())
	case err != nil && c.framer.refusal == nil && (c.framer.phase == between || len(c.Conn.(*scripted).input) > 0):
		t.Fatalf("%q: let through, and not cut off, but net/http says %v to the body", input, err)
	}
	return strings.Join([]string{r.Method, r.RequestURI, r.Host, string(body)}, " ")
}

// Whatever comes: what is let through, net/http reads as the framer did, to the same end;
// what is refused, it refuses; and neither depends on how the bytes are cut.
func FuzzRead(f *testing.F) {
	for _, c := range table(f) {
		if len(c.Input) < 10000 {
			f.Add([]byte(c.Input), byte(7))
		}
	}
	for _, input := range good() {
		if len(input) < 10000 {
			f.Add([]byte(input), byte(3))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, size byte) {
		whole, cut := read(t, string(b), 1<<20), read(t, string(b), int(size)+1)
		if (whole.refused == nil) != (cut.refused == nil) || whole.refused != nil && *whole.refused != *cut.refused {
			t.Fatalf("%q: refused in one piece: %v, in pieces: %v", b, whole.refused, cut.refused)
		}
		if whole.requests != cut.requests && whole.refused == nil {
			t.Fatalf("%q: in one piece\n%s\nin pieces\n%s", b, whole.requests, cut.requests)
		}
	})
}

// FuzzSyntax holds the fast look against the slow one.
func FuzzSyntax(f *testing.F) {
	f.Add([]byte("0123456\x7f\x7f12345\x80\x1f"))
	f.Add([]byte("\t\t\t\t\t\t\t\t\xff\xff\xff\xff\xff\xff\xff\x1f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := isText(b), isTextSlow(b); got != want {
			t.Errorf("%q: %t, want %t", b, got, want)
		}
	})
}
