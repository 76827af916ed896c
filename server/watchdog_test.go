package server

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A loop that hangs gives no sign of life, one that is slow or comes back does.
func TestSystemdWatchdogFollowsTheLoop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers func(now time.Duration) time.Duration // how late it is
		first   time.Duration                         // sign there is
		late    int                                   // signs in the last 20 seconds of a minute
	}{
		"it turns":      {func(time.Duration) time.Duration { return 0 }, 0, 4},
		"it is slow":    {func(time.Duration) time.Duration { return 9 * time.Second }, 9 * time.Second, 2},
		"it hangs":      {func(time.Duration) time.Duration { return 11 * time.Second }, time.Minute, 0},
		"it comes back": {func(now time.Duration) time.Duration { return 33*time.Second - now }, 33 * time.Second, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, log := newLines()
				began, first, late := time.Now(), time.Minute, 0
				w := watchdog{interval: 10 * time.Second, log: log}
				w.ping = func(ctx context.Context) error {
					select {
					case <-time.After(c.answers(time.Since(began))):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				w.alive = func(context.Context) {
					first = min(first, time.Since(began))
					if time.Since(began) > 41*time.Second {
						late++
					}
				}
				minute, cancel := context.WithTimeout(t.Context(), 61*time.Second) // with the last tick
				defer cancel()
				w.run(minute)
				if first != c.first || late != c.late {
					t.Errorf("the first sign of life comes after %s, in the end there are %d; want %s and %d", first, late, c.first, c.late)
				}
				if c.late == 0 && !strings.Contains(l.next(t), "no sign of life") {
					t.Error("the log does not say it")
				}
			})
		})
	}
}

func TestSystemdWatchdogIsForThisProcess(t *testing.T) {
	t.Parallel()
	own, parent := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getppid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{usec: "", pid: ""},
		{usec: "", pid: own},
		{usec: "30000000", pid: "", want: 30 * time.Second},
		{usec: "30000000", pid: own, want: 30 * time.Second},
		{usec: "30000000", pid: parent},
		{usec: "0", pid: own, bad: true},
		{usec: "-1", pid: own, bad: true},
		{usec: "30s", pid: own, bad: true},
		{usec: "18446744073709551615", pid: own, bad: true},
		{usec: "9007199254740991", pid: own, want: 9007199254740991 * time.Microsecond},
	} {
		r := &notifyReader{}
		got, err := watchdogInterval(r.in("WATCHDOG_USEC", c.usec, "WATCHDOG_PID", c.pid))
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("usec %q, pid %q: %s, %v", c.usec, c.pid, got, err)
		}
	}
}

// Signs of life go to the same socket, past what waits there.
func TestSystemdWatchdogIsFedOverTheSocket(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	_, log := newLines()
	s := &systemd{socket: newNotifySocket(r.addr, log), interval: time.Millisecond, log: log}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watchdog(ctx, func(context.Context) error { return nil })
	}()
	for range 3 {
		if got := r.next(); got != "WATCHDOG=1" {
			t.Errorf("%q", got)
		}
	}
	cancel()
	<-done
	s.close(nil)
}
