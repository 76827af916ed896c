package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// With free slots everywhere no worker does more than twice as much as another, be it that
// the clients come for each request or stay.
func TestRequestsSpreadOverWorkers(t *testing.T) {
	for _, c := range []struct {
		name, proto, addr string
		stay              bool
	}{
		{"uwsgi", "socket", "uwsgi", false},
		{"http", "http-socket", "http", false},
		{"http, kept alive", "http-socket", "http", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := servertest.Launch(t, fmt.Sprintf(`
module = "service"
processes = 4
threads = 64
%s = "$DIR/%s"
disable-logging = true
`, c.proto, c.addr))
			ask := func() error { return readAll(transport(i, c.proto, c.addr), "http://site/brief") }
			if c.stay {
				ask = func() error { return stay(i, c.addr, 25) }
			}
			requestsSpread(t, i, ask)
		})
	}
}

// requestsSpread wants each worker to have its share of the requests of 16 clients.
func requestsSpread(t *testing.T, i *servertest.Instance, ask func() error) {
	t.Helper()
	const clients, enough = 16, 2000
	load := servertest.Run(t, clients, ask)
	even, s := false, i.Stats()
	for try := 0; try < 8 && !even; try++ { // a machine that is busy with others may keep a worker from its turn
		before := s
		i.Until("the requests say something", func() bool { return requestsOf(i.Stats()) >= requestsOf(before)+enough })
		s = i.Stats()
		var each []uint64
		for n, w := range s.Workers {
			each = append(each, w.Requests-before.Workers[n].Requests)
		}
		even = slices.Max(each) <= 2*slices.Min(each)
		t.Logf("%v, imbalance %d%%", each, s.Imbalance)
	}
	load.MustLoseNothing()
	if !even {
		t.Error("the workers' shares were never within a factor of 2")
	}
	if s.Imbalance < 100 || s.Imbalance > 100*len(s.Workers) {
		t.Errorf("an imbalance of %d%%", s.Imbalance)
	}
}

// stay is a client that has one connection for n requests.
func stay(i *servertest.Instance, addr string, n int) error {
	rt := i.HTTP(addr).Transport.(*http.Transport)
	defer rt.CloseIdleConnections()
	for range n {
		if err := readAll(rt, "http://site/brief"); err != nil {
			return err
		}
	}
	return nil
}

func requestsOf(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		n += w.Requests
	}
	return n
}

// readAll wants a whole answer, so that its connection may stay.
func readAll(rt http.RoundTripper, url string) error {
	if _, body, err := fetch(rt, url); err != nil || body != "ok" {
		return fmt.Errorf("got %q, %w", body, err)
	}
	return nil
}

// A worker that does more than its share shows.
func TestAnImbalanceShows(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "service"
processes = 2
threads = 4
http-socket = "$DIR/http"
disable-logging = true
`)
	rt := i.HTTP("http").Transport // one client has one connection, to one worker
	load := servertest.Run(t, 1, func() error { return readAll(rt, "http://site/healthz") })
	i.WaitFor("one of two does everything", func(s stats.Snapshot) bool { return s.Imbalance == 200 })
	load.MustLoseNothing()
}
