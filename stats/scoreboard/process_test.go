package scoreboard

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// assertWhole fails on a request that is put together from two.
func assertWhole(t testing.TB, r stats.InFlight) {
	t.Helper()
	method, path, peer := texts(r.ID)
	want := stats.InFlight{Slot: r.Slot, ID: r.ID, Start: time.Unix(0, int64(r.ID)), Method: method, Path: path, Peer: peer}
	if r != want {
		t.Errorf("a torn request\n%+v, want\n%+v", r, want)
	}
}

func TestNumbersOutliveTheirWriter(t *testing.T) {
	const slots = 4
	for round := range 10 {
		p, cmd := start(t, "busy", slots, 3)
		until(t, "requests from the other process", func() bool {
			for _, r := range p.InFlight() {
				assertWhole(t, r)
			}
			return p.Totals().Requests > uint64(1000*(round+1))
		})
		kill(cmd) // in the middle of whatever each slot is at

		rows := p.Cores()
		for i, c := range rows {
			// Between two of its additions at most one request can have been caught.
			if n := c.Tx; n != c.Requests && n != c.Requests+1 {
				t.Errorf("row %d: %d requests, but tx counts %d", i, c.Requests, n)
			}
		}
		for _, r := range p.InFlight() {
			assertWhole(t, r)
			if done := rows[r.Slot].Requests; r.ID != done && r.ID != done+1 {
				t.Errorf("row %d: request %d in flight after %d", r.Slot, r.ID, done)
			}
		}
		if c := p.Totals(); c.Status[2] != c.Requests || c.Latency[0] != c.Requests {
			t.Errorf("%d requests, %d answers, %d durations", c.Requests, c.Status[2], c.Latency[0])
		}
		assertAppsAgree(t, p)
		if again := p.Cores(); fmt.Sprint(again) != fmt.Sprint(rows) {
			t.Errorf("the numbers of a dead process change")
		}
	}
}

func TestAWedgedProcessCanBeLookedInto(t *testing.T) {
	p, cmd := start(t, "wedged", 2, 0)
	look := func() {
		t.Helper()
		list := p.InFlight()
		if len(list) != 1 || list[0].Slot != 1 || list[0].ID != 77 {
			t.Fatalf("in flight: %+v", list)
		}
		assertWhole(t, list[0])
		if p.State() != 2 || !p.Heartbeat().Equal(time.Unix(0, 12345)) {
			t.Errorf("state %d, heartbeat %v", p.State(), p.Heartbeat())
		}
	}
	until(t, "its request", func() bool { return len(p.InFlight()) == 1 })
	look()
	kill(cmd)
	look()
}
