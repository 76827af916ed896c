package master

import "time"

// backoff decides how long a slot waits before its next process.
//
// A worker that ran well for a while and then died is replaced at once: its crash says
// nothing about the next one. One that dies young waits longer each time, so that a
// program that cannot run costs neither the machine nor the log.
type backoff struct {
	base    time.Duration  // after the first early death
	limit   time.Duration  // never longer, jitter included
	healthy time.Duration  // a worker that was ready this long did well
	jitter  func() float64 // in [0,1); spreads slots that died together
}

func defaultBackoff(jitter func() float64) backoff {
	return backoff{
		base:    100 * time.Millisecond,
		limit:   30 * time.Second,
		healthy: 10 * time.Second,
		jitter:  jitter,
	}
}

// next returns the new count of failures in a row and the wait that goes with it.
// served is how long the process that died had been ready.
func (b backoff) next(failures int, served time.Duration) (int, time.Duration) {
	if served >= b.healthy {
		return 1, 0
	}
	failures++
	wait := b.base
	for i := 1; i < failures && wait < b.limit; i++ {
		wait *= 2
	}
	wait = time.Duration(float64(wait) * (0.75 + b.jitter()/2))
	return failures, min(wait, b.limit)
}
