package master

import "time"

// gauge is what the last look has read of a process.
type gauge struct {
	known    bool
	spent    time.Duration // in its requests, those that run included
	requests uint64
}

// measure tells the machine how busy the live generation was since the last look, if its
// number of workers follows that.
func (l *loop) measure() {
	g := l.machine.live
	if g == nil || !g.scaler.on() {
		return
	}
	// Requests carry the time of a wall clock, so that is the one to measure them by.
	now := l.master.now().Round(0)
	took := now.Sub(l.measured)
	l.measured = now
	var r reading
	var busy, room float64
	for inc, p := range l.procs {
		if p.gen != g.id || p.proc == nil {
			continue
		}
		spent, active := p.gaugeAt(now)
		r.active = r.active || active
		r.queue += int(p.proc.Page().Waiting())
		if spent >= 0 && took > 0 && l.machine.procs[inc].phase == Ready {
			all := took.Seconds() * float64(p.proc.Page().Slots())
			busy += min(spent.Seconds(), all)
			room += all
		}
	}
	for _, b := range l.gens[g.id].sockets {
		r.queue += b.Stats().Queue
	}
	r.busy = -1
	if room > 0 {
		r.busy = int(100 * busy / room)
	}
	l.take(note{ev: evMeasured{gen: g.id, reading: r}})
}

// gaugeAt reads how much time the process spent in requests since the last look, below zero
// if there was none, and whether it had anything to do.
//
// What runs is counted as well: a request that takes a minute would otherwise be nothing for
// a minute and then all at once. It is read first, so that one which ends meanwhile counts
// for too much now and for less at the next look, not for nothing.
func (r *running) gaugeAt(now time.Time) (spent time.Duration, active bool) {
	page, was := r.proc.Page(), r.gauge
	flying := page.InFlight()
	sum := page.Totals()
	is := gauge{known: true, spent: time.Duration(sum.Busy), requests: sum.Requests}
	for _, f := range flying {
		is.spent += max(now.Sub(f.Start), 0)
	}
	r.gauge = is
	active = len(flying) > 0 || is.requests != was.requests || page.Upgraded() > 0
	if !was.known {
		return -1, active
	}
	return max(is.spent-was.spent, 0), active
}
