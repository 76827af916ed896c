package uwsgi

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// typical are requests as nginx sends them with its stock uwsgi_params.
func typical(t testing.TB) map[string][]byte {
	stock := []string{
		"QUERY_STRING", "q=shoes&page=2", "REQUEST_METHOD", "GET", "CONTENT_TYPE", "", "CONTENT_LENGTH", "",
		"REQUEST_URI", "/shop/items?q=shoes&page=2", "PATH_INFO", "/shop/items", "DOCUMENT_ROOT", "/usr/share/nginx/html",
		"SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_SCHEME", "http", "REMOTE_ADDR", "192.168.17.23", "REMOTE_PORT", "51234",
		"SERVER_PORT", "80", "SERVER_NAME", "shop.example.com", "HTTP_HOST", "shop.example.com",
	}
	browser := append(stock[:len(stock):len(stock)], "HTTP_CONNECTION", "keep-alive", "HTTP_CACHE_CONTROL", "max-age=0",
		"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
		"HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd", "HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.9,de;q=0.8",
		"HTTP_UPGRADE_INSECURE_REQUESTS", "1", "HTTP_REFERER", "http://shop.example.com/shop",
		"HTTP_COOKIE", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; cart=3",
		"HTTP_SEC_FETCH_MODE", "navigate", "HTTP_SEC_FETCH_SITE", "same-origin", "HTTP_X_SHOP_TRIAL", "b")
	return map[string][]byte{"tool": packet(t, 0, stock...), "browser": packet(t, 0, browser...)}
}

// replayed is a reader that starts over.
type replayed struct {
	src *bytes.Reader
	br  *bufio.Reader
}

func replay() replayed {
	src := bytes.NewReader(nil)
	return replayed{src, bufio.NewReaderSize(src, 8<<10)}
}

func (r replayed) from(b []byte) *bufio.Reader {
	r.src.Reset(b)
	r.br.Reset(r.src)
	return r.br
}

// A packet that was read costs its block, which the request keeps. Nothing else of the
// codec costs anything.
func TestCodecAllocatesNothing(t *testing.T) {
	limits := Limits{MaxVars: 100, MaxBody: 1 << 20}
	for name, in := range typical(t) {
		r := replay()
		check(t, "read the packet of a "+name, 1, func() {
			var p incoming
			if err := p.read(r.from(in), limits); err != nil {
				t.Fatal(err)
			}
		})
		request, err := ReadRequest(r.from(in), limits)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 0, len(in))
		check(t, "encode the packet of a "+name, 0, func() {
			if b, err := request.AppendTo(buf); err != nil || len(b) != len(in) {
				t.Fatal(len(b), err)
			}
		})
	}
	buf, body := make([]byte, 0, 1<<10), []byte("hello\n")
	now := time.Now()
	var dates dateCache
	for name, h := range heads() {
		check(t, "write the head of "+name, 0, func() {
			writeHead(buf, body, h, dates.at(now))
		})
	}
}

// The block; the request with its URL and header values; the header map, which the runtime
// makes of two pieces up to eight headers and of four above.
func TestRequestIsMadeOfFewPieces(t *testing.T) {
	ctx := context.Background()
	for name, most := range map[string]float64{"tool": 3, "browser": 6} {
		r, in := replay(), typical(t)[name]
		check(t, "make the request of a "+name, most, func() {
			if _, err := makeRequest(ctx, r.from(in)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func check(t *testing.T, what string, most float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(200, f); n > most {
		t.Errorf("%s: %.1f allocations, %.0f are needed", what, n, most)
	}
}

func makeRequest(ctx context.Context, br *bufio.Reader) (*http.Request, error) {
	var p incoming
	if err := p.read(br, Limits{MaxVars: 100}); err != nil {
		return nil, err
	}
	return newRequest(ctx, new(madeRequest), &p, http.NoBody, nowhere{})
}

// heads are the fields of responses.
func heads() map[string]http.Header {
	return map[string]http.Header{
		"hello": {},
		"json":  {"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Etag": {`"5d41402abc4b2a76"`}, "X-Trial": {"b"}},
	}
}

func writeHead(buf, body []byte, h http.Header, date string) []byte {
	var hd head
	b := hd.begin(buf[:0], http.StatusOK, h)
	hd.length = int64(len(body))
	return hd.finish(b, body, date)
}

func BenchmarkDecode(b *testing.B) {
	for name, in := range typical(b) {
		b.Run(name, func(b *testing.B) {
			r := replay()
			b.ReportAllocs()
			for b.Loop() {
				var p incoming
				if err := p.read(r.from(in), Limits{MaxVars: 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNewRequest decodes, too: the two share the block.
func BenchmarkNewRequest(b *testing.B) {
	for name, in := range typical(b) {
		b.Run(name, func(b *testing.B) {
			r, ctx := replay(), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := makeRequest(ctx, r.from(in)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHead(b *testing.B) {
	for name, h := range heads() {
		b.Run(name, func(b *testing.B) {
			buf, body := make([]byte, 0, 1<<10), []byte("hello\n")
			var dates dateCache
			b.ReportAllocs()
			for b.Loop() {
				writeHead(buf, body, h, dates.at(time.Now()))
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, in := range typical(b) {
		b.Run(name, func(b *testing.B) {
			r, err := ReadRequest(bufio.NewReader(strings.NewReader(string(in))), Limits{})
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, len(in))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.AppendTo(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
