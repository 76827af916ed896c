package parking

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDrainServesAParkedConnectionOnceMore(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		c, silent := s.dial(t), s.dial(t)
		c.mustGet(t, "x", "x")
		silent.mustGet(t, "x", "x")
		s.await(t, 2)
		const linger = 100 * time.Millisecond
		began := time.Now()
		drained := s.drain(patient)
		<-s.pool.Draining()
		if got, last, err := c.get("y"); got != "y" || !last || err != nil {
			t.Errorf("%q, last %v, %v", got, last, err)
		}
		c.end(t)
		s.pool.ShortenLinger(linger) // not before: the request above may be late
		silent.end(t)
		if took := time.Since(began); took < linger {
			t.Errorf("a silent connection was closed after %s", took)
		}
		silent.Close()
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// Every request whose connection was not told to close before it was sent is served. Clients
// who read the end before they have sent anything have lost nothing.
func TestDrainLosesNoRequestOfParkedConnections(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		var clients sync.WaitGroup
		var served atomic.Int64
		for range 16 {
			c := s.dial(t)
			clients.Go(func() {
				defer c.Close()
				for {
					got, last, err := c.get("x")
					if got != "x" || err != nil {
						t.Errorf("%q, %v", got, err)
						return
					}
					if served.Add(1); last {
						c.end(t)
						return
					}
				}
			})
		}
		until(t, "there is a load", func() bool { return served.Load() > 1000 })
		if err := <-s.drain(10 * time.Second); err != nil { // longer than any client is silent
			t.Error(err)
		}
		clients.Wait()
	})
}

func TestParkedConnectionsAreCut(t *testing.T) {
	for name, cut := range map[string]func(s *site){
		"by the pool":   func(s *site) { s.pool.CloseConns(); s.lot.Rouse() },
		"by the server": func(s *site) { s.Close(); s.lot.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, soon(), echo, func(t *testing.T, s *site) {
				c := s.dial(t)
				c.mustGet(t, "x", "x")
				s.await(t, 1)
				cut(s)
				c.end(t)
				s.await(t, 0)
			})
		})
	}
}

// While connections are parked and come back, the end finds all of them.
func TestEndComesBetweenParkingAndReturning(t *testing.T) {
	ways(t, soon(), echo, func(t *testing.T, s *site) {
		var clients sync.WaitGroup
		var served atomic.Int64
		for range 16 {
			c := s.dial(t)
			clients.Go(func() {
				for {
					if _, _, err := c.get("x"); err != nil {
						_, _ = io.Copy(io.Discard, c) // its own end, or there would be none
						return
					}
					served.Add(1)
				}
			})
		}
		until(t, "there is a load", func() bool { return served.Load() > 500 })
		s.Close()
		s.lot.Close()
		s.pool.CloseConns()
		clients.Wait()
	})
}
