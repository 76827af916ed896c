package master

const (
	// shareLooks is over how many looks the workers' shares are compared.
	shareLooks = 10

	// shareLeast is how many requests a worker must have had on the average: of fewer the
	// shares are chance.
	shareLeast = 20
)

// shares remembers what each slot had answered at the last looks.
type shares struct {
	answered []map[int]uint64 // by slot, of those that served; oldest first
}

// note takes what the slots that serve have answered since the master began.
func (s *shares) note(now map[int]uint64) {
	if n := len(s.answered); n > 0 && !sameSlots(s.answered[n-1], now) {
		s.answered = nil // a worker that serves half the time has half the share
	}
	if len(s.answered) > shareLooks {
		s.answered = s.answered[1:]
	}
	s.answered = append(s.answered, now)
}

func sameSlots(a, b map[int]uint64) bool {
	for slot := range b {
		if _, ok := a[slot]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

// even is the imbalance if all had the same, or if there is nothing to compare.
const even = 100

// imbalance is the requests of the busiest worker in percent of the mean.
func (s *shares) imbalance() int {
	n := len(s.answered)
	if n < 2 {
		return even
	}
	first, last := s.answered[0], s.answered[n-1]
	var total, most uint64
	for slot, answered := range last {
		had := answered - first[slot]
		total += had
		most = max(most, had)
	}
	workers := uint64(len(last))
	if workers < 2 || total < shareLeast*workers {
		return even
	}
	return int(100 * most * workers / total)
}

// compareShares is part of a look.
func (l *loop) compareShares() {
	now := make(map[int]uint64)
	for _, s := range l.machine.slots {
		if n, serves := l.answered(s); serves {
			now[s.id] = n
		}
	}
	l.shares.note(now)
	l.master.imbalance.Store(int64(l.shares.imbalance()))
}

// answered is what a slot has answered since the master began, if it serves now.
func (l *loop) answered(s *slot) (n uint64, serves bool) {
	n = l.ledgers[s.id].Total.Requests
	for _, p := range s.procs {
		if r := l.procs[p.inc]; r != nil && r.proc != nil {
			n += r.proc.Page().Totals().Requests
			serves = serves || p.phase == Ready
		}
	}
	return n, serves
}
