package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// 500 clients that send a byte of their request head a second hold no slot and stop
// nobody, on any socket, and header-timeout ends them.
func TestFiveHundredSlowClientsStopNobody(t *testing.T) {
	t.Parallel()
	const clients = 500
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, `
module = "who"
processes = 1
threads = 4
header-timeout = "15s"
http-socket = "$DIR/http"
listen = 4096
`+secure("https", dir, "one"))
	texts := map[string]string{
		"http":  "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + strings.Repeat("a", 100),
		"https": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("a", 100),
	}
	var ends sync.WaitGroup
	var dribbling []dribbler
	for n := range clients {
		addr := []string{"http", "https"}[n%2]
		d := dribbler{i.Dial(addr), texts[addr]}
		dribbling = append(dribbling, d)
		ends.Go(func() { _, _ = io.Copy(io.Discard, d.conn) })
	}
	ended := make(chan struct{})
	go func() { ends.Wait(); close(ended) }()
	stop := dribble(dribbling, ended)
	defer stop()

	for n := range 50 { // each on a connection of its own, which has to be accepted
		plain, tls := i.HTTP("http"), i.HTTPS("https", roots)
		for url, c := range map[string]*http.Client{"http://localhost/": plain, "https://localhost/": tls} {
			if status, body := get(t, c.Transport, url); status != http.StatusOK {
				t.Fatalf("%s %d: %d %q", url, n, status, body)
			}
			c.CloseIdleConnections()
		}
	}
	// A slot comes back a moment after its answer.
	i.WaitFor("all are counted, and no slot is taken", func(s stats.Snapshot) bool { return busy(s) == 0 && s.Workers[0].Requests == 100 })
	select {
	case <-ended:
		t.Error("the slow clients were gone before the others were served: nothing is shown")
	default:
	}
	i.Until("header-timeout has ended them", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	i.WaitFor("nobody was refused a slot", func(s stats.Snapshot) bool { return s.Workers[0].Exceptions == 0 && busy(s) == 0 })
}

type dribbler struct {
	conn net.Conn
	text string
}

// dribble sends a byte of each text a second, until the end.
func dribble(all []dribbler, ended <-chan struct{}) (stop func()) {
	tick := time.NewTicker(time.Second)
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := 0; ; n++ {
			for _, d := range all {
				_, _ = io.WriteString(d.conn, d.text[n%len(d.text):][:1]) // it may be gone
			}
			select {
			case <-tick.C:
			case <-ended:
				return
			case <-done:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(done)
		sending.Wait()
	}
}

// The second request of a connection is under the same limit as the first.
func TestHeaderTimeoutHoldsOnKeptConnections(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, `
module = "who"
processes = 1
header-timeout = "2s"
http-keepalive = "10m"
http-socket = "$DIR/http"
`, apps()...)
	c := i.Dial("http")
	if status, _ := ask(t, c, plainGet); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c)
}

// wantEnd reads what is left, before the deadline that Dial has set.
func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection did not end: %v", err)
	}
}

// stalling is a server whose clients may stall for a short while only.
func stalling(t *testing.T, module, while string) (*servertest.Instance, map[string]func() net.Conn) {
	t.Helper()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, fmt.Sprintf(`
module = %q
processes = 1
threads = 4
socket-timeout = %q
http-socket = "$DIR/http"
`, module, while)+secure("https", dir, "one"))
	return i, map[string]func() net.Conn{
		"http": func() net.Conn { return i.Dial("http") },
		"h2c":  func() net.Conn { return i.Dial("http") },
		"h2":   func() net.Conn { return dialTLS(t, i.Dial("https"), roots) },
	}
}

// A client that does not take its response loses it, and the slot is free again.
func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	t.Parallel()
	i, dials := stalling(t, "pours", "300ms")
	for proto, dial := range dials {
		c := dial()
		if proto == "http" {
			if _, err := io.WriteString(c, plainGet); err != nil {
				t.Fatal(err)
			}
			continue
		}
		h := dialH2(t, c) // the window of its stream is 64 KiB
		h.get(1)
		if stream, _ := h.next(3); stream != 1 {
			t.Errorf("%s: stream %d was reset", proto, stream)
		}
		h.frame(6, 0, 0, "still up") // the connection is
		h.next(6)
	}
	i.Until("all handlers have noticed", func() bool { return strings.Count(i.Log(), "poured out: ") == len(dials) })
	i.WaitFor("all slots are free", func(s stats.Snapshot) bool { return busy(s) == 0 })
	if strings.Contains(i.Log(), "<nil>") {
		t.Errorf("a handler met no error:\n%s", i.Log())
	}
}

// The handler has returned: what net/http still has to send is limited too.
func TestAnAnswerNobodyTakesDoesNotStayForEver(t *testing.T) {
	t.Parallel()
	_, dials := stalling(t, "who", "300ms")
	for _, proto := range []string{"h2c", "h2"} {
		h := dialH2(t, dials[proto]())
		h.frame(4, 0, 0, "\x00\x04\x00\x00\x00\x00") // the window of a stream is nothing
		h.get(1)
		h.next(1)
		if stream, _ := h.next(3); stream != 1 {
			t.Errorf("%s: stream %d was reset", proto, stream)
		}
	}
}

// A body that stops is an error for the handler, which answers; one that moves is not,
// however slowly.
func TestABodyMayBeSlowButNotStall(t *testing.T) {
	t.Parallel()
	_, dials := stalling(t, "echo", "3s") // far longer than a step, for this test may stand still
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n"
		stalled, slow := dials["http"](), dials["http"]()
		if _, err := io.WriteString(stalled, head+"12345"); err != nil {
			t.Fatal(err)
		}
		slowly(func(s string) { _, _ = io.WriteString(slow, s) }, head, slowBody)
		if status, body := ask(t, slow, "0"); status != http.StatusOK || body != slowBody+"0" {
			t.Errorf("a slow body is answered %d %q", status, body)
		}
		resp, err := http.ReadResponse(bufio.NewReader(stalled), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("a body that stalls is answered %v, %v", resp, err)
		}
	})
	for _, proto := range []string{"h2c", "h2"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			h := dialH2(t, dials[proto]())
			h.post(1)
			h.frame(0, 0, 1, "12345")
			h.post(3)
			slowly(func(s string) { h.frame(0, 0, 3, s) }, slowBody)
			h.frame(0, 1, 3, "0")
			answers := map[uint32]string{}
			for len(answers) < 2 {
				stream, payload := h.next(1)
				answers[stream] = fmt.Sprintf("%x", payload[0])
			}
			if answers[1] != "8c" || answers[3] != "88" { // :status 400 and 200
				t.Errorf("answers %v", answers)
			}
		})
	}
}

// slowBody takes slowly longer than a stall may.
const slowBody = "1234567890123456"

// slowly sends the first text at once and the last in single bytes. What is lost shows in the
// answer.
func slowly(send func(string), texts ...string) {
	last := len(texts) - 1
	for _, s := range append(texts[:last], strings.Split(texts[last], "")...) {
		send(s)
		await(200 * time.Millisecond)
	}
}

// await lets time pass where time is the thing that is tested.
func await(d time.Duration) { <-time.After(d) }

func TestAnIdleConnectionEndsAfterHTTPKeepalive(t *testing.T) {
	t.Parallel()
	for _, keepalive := range []string{"2s", "0s"} { // the second is header-timeout
		t.Run(keepalive, func(t *testing.T) {
			t.Parallel()
			i := servertest.Start(t, fmt.Sprintf(`
module = "who"
processes = 1
header-timeout = "2s"
http-keepalive = %q
http-socket = "$DIR/http"
`, keepalive), apps()...)
			c := i.Dial("http")
			if status, _ := ask(t, c, plainGet); status != http.StatusOK {
				t.Errorf("answered %d", status)
			}
			h := dialH2(t, i.Dial("http"))
			h.get(1)
			h.next(1)
			silent := dialH2(t, i.Dial("http")) // all wait at the same time
			wantEnd(t, c)
			h.next(7) // goodbye
			wantEnd(t, h)
			silent.next(7)
			wantEnd(t, silent)
		})
	}
}
