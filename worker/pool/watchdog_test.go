package pool

import (
	"testing"
	"testing/synctest"
	"time"
)

// The runtime's monitor sleeps until the next timer: while requests come there must always
// be one that is near.
func TestThereIsATimerWhileRequestsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		resets := 0
		for range 1000 {
			before := p.watchdog.due.Load()
			p.watchdog.look(p.elapsed())
			left := time.Duration(p.watchdog.due.Load()) - p.elapsed()
			if left <= watchEvery/2-time.Millisecond || left > watchEvery {
				t.Fatalf("the timer is %s away", left)
			}
			if p.watchdog.due.Load() != before {
				resets++
			}
			time.Sleep(watchEvery / 100) // of fake time
		}
		if resets < 10 || resets > 25 {
			t.Errorf("it was set %d times in ten times its length", resets)
		}
		if !p.watchdog.timer.Stop() {
			t.Error("there is none")
		}
	})
}

func TestTheFirstRequestAfterAPauseSetsTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Slots: 1})
		ln := newMemListener()
		serveHTTP(t, p, ln, ok)
		c := ln.dial(t)
		for range 3 {
			time.Sleep(time.Minute)
			if p.watchdog.timer.Stop() {
				t.Fatal("the timer runs though nothing comes")
			}
			c.mustGet(t, "/")
			if !p.watchdog.timer.Stop() {
				t.Fatal("no timer")
			}
		}
	})
}
