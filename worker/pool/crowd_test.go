package pool

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestGateLeavesACrowdToItsSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 64})
		ln := newMemListener()
		var clients []*client
		for range 2 * crowd {
			clients = append(clients, ln.dial(t))
		}
		serveHTTP(t, p, ln, ok)
		accepted := func(want int64, when string) {
			t.Helper()
			synctest.Wait()
			if got := ln.accepted.Load(); got != want {
				t.Errorf("%s: %d connections were accepted, want %d", when, got, want)
			}
		}
		accepted(crowd, "at once")
		time.Sleep(courtesy)
		accepted(crowd+1, "after a while")
		clients[0].mustGet(t, "/")
		accepted(crowd+1, "with as many that have shown nothing")
		clients[1].mustGet(t, "/")
		accepted(crowd+2, "with one less")
		time.Sleep(grace)
		accepted(2*crowd, "when they are no newcomers any more")
		for _, c := range clients {
			c.mustGet(t, "/")
		}
	})
}

// A process that answers at once gets no more of those who come together than the others.
func TestGateLeavesTheNextOnesToItsSiblingsThoughItIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 64})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		came := func(n int) (accepted int64) {
			for range n {
				ln.dial(t).mustGet(t, "/")
			}
			return ln.accepted.Load()
		}
		began := time.Now()
		came(crowd)
		if took := time.Since(began); took != 0 {
			t.Errorf("the first %d took %s", crowd, took)
		}
		came(1)
		if took := time.Since(began); took != courtesy {
			t.Errorf("one more took %s, want the courtesy of %s", took, courtesy)
		}
		came(2*crowd - 1) // nobody has taken the last one, so there is nobody to be polite to
		if took := time.Since(began); took != courtesy {
			t.Errorf("twice as many took %s", took)
		}
	})
}

func TestConnectionsOfOneRequestAreNoCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 64})
		ln := newMemListener()
		gate := p.Gate(ln, GateOptions{})
		for range 2 * crowd {
			ln.dial(t)
			c, err := gate.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	})
}
