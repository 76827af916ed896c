package server

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
)

// watchdog gives systemd a sign of life twice in each interval, but only if ping finds that
// there is life: systemd ends a process that it hears nothing of, with SIGABRT, at which Go
// prints what every goroutine does, and the unit's Restart= starts another.
type watchdog struct {
	interval time.Duration
	ping     func(context.Context) error
	alive    func(context.Context)
	log      hclog.Logger
}

// run ends with ctx. It begins with a sign: the last one of the program that was here before
// may be as old as it can be.
func (w watchdog) run(ctx context.Context) {
	tick := time.NewTicker(w.interval / 2)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w watchdog) look(ctx context.Context) {
	inTime, cancel := context.WithTimeout(ctx, w.interval)
	defer cancel()
	err := w.ping(inTime)
	switch {
	case err == nil:
		w.alive(inTime)
	case ctx.Err() == nil:
		w.log.Error("no sign of life for systemd's watchdog", "within", w.interval, "error", err)
	}
}

// watchdog runs until ctx ends, if systemd wants it.
func (s *systemd) watchdog(ctx context.Context, ping func(context.Context) error) {
	if s == nil || s.interval == 0 {
		return
	}
	alive := func(ctx context.Context) { s.socket.send(ctx, "WATCHDOG=1") } // past what waits in the queue
	watchdog{interval: s.interval, ping: ping, alive: alive, log: s.log}.run(ctx)
}

// watchdogInterval is WATCHDOG_USEC, unless WATCHDOG_PID names another process: a child of
// the one that is watched has the variables too. Zero: nobody watches.
func watchdogInterval(getenv func(string) string) (time.Duration, error) {
	usec, pid := getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	n, err := strconv.ParseUint(usec, 10, 53) // bits: so many microseconds still are a Duration
	if err != nil || n == 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, want a number of microseconds", usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}
