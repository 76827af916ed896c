package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/parking"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/pool"
)

// parkingSite is a webServer that parks at the first occasion, and its address.
func parkingSite(t *testing.T, h http.HandlerFunc) (*webServer, string) {
	t.Helper()
	page, file, err := scoreboard.Create(4, 1)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	requests := pool.New(pool.Options{Page: page})
	cfg := config.Default()
	cfg.Trusted.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s, err := protocols{cfg: cfg, log: hclog.NewNullLogger()}.webServer(requests.Handler(h), requests)
	if err != nil {
		t.Fatal(err)
	}
	s.lot = parking.New(parking.Options{IdleTimeout: s.IdleTimeout, Patience: time.Nanosecond})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(requests.Gate(ln, pool.GateOptions{Grace: acceptGrace})) })
	t.Cleanup(func() { s.Close(); serving.Wait(); requests.CloseConns() })
	return s, ln.Addr().String()
}

func awaitParked(t *testing.T, s *webServer, n int) {
	t.Helper()
	late := time.Now().Add(time.Minute)
	for s.lot.Parked() != n {
		if time.Now().After(late) {
			t.Fatalf("%d connections are parked, want %d", s.lot.Parked(), n)
		}
		<-time.After(time.Millisecond)
	}
}

func sayWho(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, r.RemoteAddr, " ", r.Host, " ", Scheme(r), " ", r.Proto)
}

// A PROXY header stands at the beginning of a connection, and holds for all of it.
func TestParkedConnectionKeepsWhatItsProxySaid(t *testing.T) {
	t.Parallel()
	s, addr := parkingSite(t, sayWho)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	br := bufio.NewReader(c)
	io.WriteString(c, "PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n")
	for range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n")
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := "203.0.113.9:4711 a http HTTP/1.1" // the client itself is not trusted
		if body, err := io.ReadAll(res.Body); string(body) != want || err != nil {
			t.Fatalf("%q, %v, want %q", body, err, want)
		}
		awaitParked(t, s, 1)
	}
	io.WriteString(c, "PROXY TCP4 203.0.113.10 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("a PROXY header behind requests: %v, %v", res, err)
	}
}

func TestConnectionsThatAreNotPlainHTTPStayWithTheServer(t *testing.T) {
	t.Parallel()
	s, addr := parkingSite(t, sayWho)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer h2.CloseIdleConnections()
	h1 := &http.Client{Transport: &http.Transport{}}
	defer h1.CloseIdleConnections()
	for range 3 {
		for _, client := range []*http.Client{h2, h1} { // HTTP/2 was idle for longer when the other is parked
			res, err := client.Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		awaitParked(t, s, 1)
	}
}
