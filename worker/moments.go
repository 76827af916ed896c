package worker

import "time"

// moments are when a drain loses patience.
//
//	begin ─────────▶ upgrades ─▶ requests ──▶ cut ─▶ limit
//	                             2 reserves   1 reserve
type moments struct {
	upgrades time.Time // connections that were upgraded are closed
	requests time.Time // requests are told, by the end of their contexts
	cut      time.Time // what is left is cut
}

// reserve is the part of a drain's limit that is kept for closing the application. Before
// that, twice as much is kept for handlers that were told: to say a last word, and return.
func reserve(limit time.Duration) time.Duration { return min(limit/10, time.Second) }

// momentsOf gives those of a limit that begins now. No upgraded connection is left when
// contexts end: it has a mercy of its own, and its handler was told when the drain began.
func (l *life) momentsOf(limit time.Duration) moments {
	now := time.Now()
	cut := now.Add(limit - reserve(limit))
	m := moments{cut: cut, requests: cut.Add(-2 * reserve(limit))}
	m.upgrades = m.requests
	if mercy := l.service.UpgradeMercy; mercy > 0 {
		m.upgrades = sooner(m.upgrades, now.Add(mercy))
	}
	return m
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// alarms ring at the moments of a drain, each once.
type alarms struct {
	at                      moments
	upgrades, requests, cut *time.Timer
}

func newAlarms(at moments) *alarms {
	return &alarms{at: at, upgrades: alarm(at.upgrades), requests: alarm(at.requests), cut: alarm(at.cut)}
}

func alarm(at time.Time) *time.Timer { return time.NewTimer(time.Until(at)) }

// hurry moves what is to come; nothing ever comes later than it would have.
func (a *alarms) hurry(to moments) {
	a.at = moments{sooner(a.at.upgrades, to.upgrades), sooner(a.at.requests, to.requests), sooner(a.at.cut, to.cut)}
	move(a.upgrades, a.at.upgrades)
	move(a.requests, a.at.requests)
	move(a.cut, a.at.cut)
}

func move(t *time.Timer, to time.Time) {
	if t.Stop() { // it has not rung
		t.Reset(time.Until(to))
	}
}

func (a *alarms) stop() {
	a.upgrades.Stop()
	a.requests.Stop()
	a.cut.Stop()
}
