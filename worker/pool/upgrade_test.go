package pool

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// upgrader answers /plain, and hijacks everything else: until the drain with /polite, for as
// long as the client stays with /stubborn.
func upgrader(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			io.WriteString(w, "plain")
			return
		}
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		if r.URL.Path == "/polite" {
			<-Draining(r.Context())
			return
		}
		io.Copy(io.Discard, nc)
	}
}

// upgraded opens a connection and has it hijacked.
func upgraded(t *testing.T, ln *memListener, path string) *client {
	t.Helper()
	c := ln.dial(t)
	if res, _, err := c.do("GET", path, ""); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", res, err)
	}
	return c
}

func TestUpgradedConnectionsAreCountedUntilTheyClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, upgrader(t))
		first := upgraded(t, ln, "/stubborn")
		upgraded(t, ln, "/stubborn") // the one slot is free again
		page := p.opts.Page
		if open, total := page.Upgraded(), page.Totals().Upgrades; open != 2 || total != 2 {
			t.Errorf("%d open of %d, want 2 of 2", open, total)
		}
		first.conn.Close()
		synctest.Wait()
		if open, total := page.Upgraded(), page.Totals().Upgrades; open != 1 || total != 2 {
			t.Errorf("after a close: %d open of %d, want 1 of 2", open, total)
		}
		checkFree(t, p)
	})
}

// Who is sent away and comes back at once must not meet the same process.
func TestDrainingIsSaidWhenTheGatesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 2})
		ln, told := newMemListener(), make(chan bool, 1)
		serveHTTP(t, p, ln, func(_ http.ResponseWriter, r *http.Request) {
			<-Draining(r.Context())
			select {
			case <-ln.closed:
				told <- true
			default:
				told <- false
			}
		})
		go ln.dial(t).do("GET", "/", "")
		synctest.Wait()
		if len(told) > 0 {
			t.Error("the handler was told before the drain")
		}
		if err := <-drainIn(p, time.Minute, 0); err != nil {
			t.Error(err)
		}
		if !<-told {
			t.Error("the handler was told while the listener was open")
		}
	})
}

func TestDrainingOfAForeignRequestNeverComes(t *testing.T) {
	r, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if Draining(r.Context()) != nil {
		t.Error("a request of no pool has a channel")
	}
}

// A drain waits for upgraded connections until EndUpgrades; the polite ones are gone by then.
func TestEndUpgradesClosesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 4})
		ln := newMemListener()
		serveHTTP(t, p, ln, upgrader(t))
		polite, stubborn, idle := upgraded(t, ln, "/polite"), upgraded(t, ln, "/stubborn"), ln.dial(t)
		idle.mustGet(t, "/plain")
		drained := drainIn(p, time.Hour, time.Minute)
		if _, err := polite.br.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the polite connection: %v", err)
		}
		synctest.Wait()
		if n := p.EndUpgrades(); n != 1 {
			t.Errorf("EndUpgrades closed %d connections, want 1", n)
		}
		if _, err := stubborn.br.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the stubborn connection: %v", err)
		}
		checkLateUpgrade(t, idle)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if open := p.opts.Page.Upgraded(); open != 0 {
			t.Errorf("%d connections count as open", open)
		}
	})
}

// checkLateUpgrade asks for an upgrade after EndUpgrades on a connection that was idle.
func checkLateUpgrade(t *testing.T, idle *client) {
	t.Helper()
	if err := idle.send("GET", "/stubborn", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(idle.br); err != nil {
		t.Errorf("the late upgrade: %v", err)
	}
}
