package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

func TestAHeadThatIsTooLongIsAnswered431(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, "module = \"who\"\nprocesses = 1\nhttp-socket = \"$DIR/http\"\n"+secure("https", dir, "one"), apps()...)
	for _, tc := range []struct {
		length, want int
	}{{60_000, http.StatusOK}, {80_000, http.StatusRequestHeaderFieldsTooLarge}, {500_000, http.StatusRequestHeaderFieldsTooLarge}} {
		for url, rt := range map[string]http.RoundTripper{
			"http://localhost/":  i.HTTP("http").Transport,
			"https://localhost/": i.HTTPS("https", roots).Transport,
		} {
			req, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Long", strings.Repeat("a", tc.length))
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Errorf("%s, %d bytes: %v", url, tc.length, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("%s, %d bytes: %s, want %d", url, tc.length, resp.Status, tc.want)
			}
		}
	}
	h := dialH2(t, i.Dial("http"))
	h.frame(1, 1, 1, "\x82\x86\x84\x01\x09localhost") // HEADERS, to be continued
	for range 4 {                                     // CONTINUATION: a literal "x" with 127 + 1 + 124*128 bytes
		h.frame(9, 0, 1, "\x00\x01x\x7f\x81\x7c"+strings.Repeat("a", 16_000))
	}
	// Too much, but not absurd: that would end the connection.
	h.frame(9, 4, 1, "\x00\x01x\x7f\xb9\x16"+strings.Repeat("a", 3000))
	if stream, payload := h.next(1); stream != 1 || payload[0] == 0x88 { // :status 200
		t.Errorf("h2: stream %d, % x", stream, payload)
	}
}

func TestABodyThatIsTooLongIsAnswered413(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, `
module = "echo"
processes = 1
http-socket = "$DIR/http"
limit-post = "1KiB"
`+secure("https", dir, "one"), apps()...)
	for _, tc := range []struct {
		url string
		rt  http.RoundTripper
	}{
		{"http://localhost/", i.HTTP("http").Transport}, {"http://localhost/", i.HTTP2("http", nil).Transport},
		{"https://localhost/", i.HTTPS("https", roots).Transport}, {"https://localhost/", i.HTTP2("https", roots).Transport},
	} {
		for length, want := range map[int]int{1 << 10: http.StatusOK, 1<<10 + 1: http.StatusRequestEntityTooLarge, 8 << 20: http.StatusRequestEntityTooLarge} {
			resp, err := tc.rt.RoundTrip(post(t, tc.url, strings.NewReader(strings.Repeat("x", length))))
			if err != nil {
				t.Errorf("%s, %d bytes: %v", tc.url, length, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s, %d bytes: %s, want %d", tc.url, length, resp.Status, want)
			}
		}
		// Of unknown length: the handler's read fails at the limit.
		resp, err := tc.rt.RoundTrip(post(t, tc.url, io.MultiReader(strings.NewReader(strings.Repeat("x", 2000)))))
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(body), "request body too large") {
			t.Errorf("%s: %s %q", tc.url, resp.Status, body)
		}
	}
}

// The one slot is taken: a request on a connection that is there already waits for
// queue-timeout and is then told when to come again.
func TestARequestThatFindsNoSlotIsAnswered503(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, `
module = "gate"
processes = 1
threads = 1
queue-timeout = "1500ms"
http-socket = "$DIR/http"
`+secure("https", dir, "one")+`
[env]
GATE = "$DIR/gate"
`)
	gate := servertest.NewGate(t, i.Dir)
	clients := map[string]http.RoundTripper{
		"http://localhost/":  i.HTTP("http").Transport,
		"http://localhost/2": i.HTTP2("http", nil).Transport,
		"https://localhost/": i.HTTP2("https", roots).Transport,
	}
	for url, rt := range clients { // has its connection now
		answer := make(chan error, 1)
		go func() { _, _, err := fetch(rt, url); answer <- err }()
		i.Until("the handler runs", func() bool { return gate.Inside() == 1 })
		gate.Release()
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
	}
	blocking := inside(t, i, gate, i.HTTP2("http", nil).Transport)
	for url, rt := range clients {
		resp, _, err := fetch(rt, url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "2" {
			t.Errorf("%s: %s, Retry-After %q, want 503 and 2", url, resp.Status, resp.Header.Get("Retry-After"))
		}
	}
	gate.Open()
	if err := <-blocking; err != nil {
		t.Error(err)
	}
	i.WaitFor("they are counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests == uint64(len(clients)+1) })
}
