package strict

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// browser is a request as a browser sends it.
const browser = "GET /shop/articles?page=2 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n"

// again is a connection on which the same request comes for ever.
type again struct {
	net.Conn
	request string
}

func (a *again) Read(p []byte) (int, error) { return copy(p, a.request), nil }

func BenchmarkRead(b *testing.B) {
	c := newConn(&again{request: browser}, &shared{opts: Options{MaxHead: DefaultMaxHead}})
	p := make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(browser)))
	for b.Loop() {
		if n, err := c.Read(p); n != len(browser) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// A request allocates nothing, in one piece and in several.
func TestRequestsAllocateNothing(t *testing.T) {
	s := &shared{opts: Options{MaxHead: DefaultMaxHead}}
	chunks := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	p := make([]byte, 4096)
	for name, c := range map[string]*Conn{
		"whole":   newConn(&again{request: browser}, s),
		"chunked": newConn(&again{request: chunks}, s),
	} {
		if n := testing.AllocsPerRun(1000, func() { c.Read(p) }); n > 0 {
			t.Errorf("%s: %.1f allocations", name, n)
		}
	}
	inner := &scripted{size: 100}
	c := newConn(inner, s)
	input := []byte(browser)
	if n := testing.AllocsPerRun(1000, func() {
		inner.input = input
		for c.framer.phase = between; c.framer.phase == between || len(c.held) > 0; {
			c.Read(p)
		}
	}); n > 0 {
		t.Errorf("in pieces: %.1f allocations", n)
	}
}

// Keep-alive requests over loopback, with and without: the difference is the price. Run it
// with -count, which alternates them.
func BenchmarkKeepAlive(b *testing.B) {
	for _, name := range []string{"net/http", "strict"} {
		b.Run(name, func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}
			var outer net.Listener = ln
			if name == "strict" {
				srv.ConnState, outer = ConnState, Listener(ln, Options{})
			}
			done := make(chan struct{})
			go func() { defer close(done); _ = srv.Serve(outer) }()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, ln.Addr().String())
				request, answer := []byte(browser), make([]byte, 4096)
				for pb.Next() {
					if _, err := c.Write(request); err != nil {
						b.Error(err)
						return
					}
					n, err := c.Read(answer)
					if err != nil || !strings.HasSuffix(string(answer[:n]), "hello") {
						b.Errorf("%q, %v", answer[:n], err)
						return
					}
				}
			})
			srv.Close()
			<-done
		})
	}
}
