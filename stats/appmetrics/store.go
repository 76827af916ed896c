package appmetrics

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits bound what a Store holds. Zero means the default.
type Limits struct {
	Series     int // of all processes together, retired ones included; 100,000
	Tombstones int // of series that no process has any more; 10,000
}

func (l Limits) orDefault() Limits {
	return Limits{Series: cmp.Or(l.Series, 100_000), Tombstones: cmp.Or(l.Tombstones, 10_000)}
}

// Process says whose metrics a dump has.
type Process struct {
	ID         uint64 // of all processes there have been; a later one has a higher one
	Worker     int    // its slot: what PerWorker shows
	Generation int    // of two processes, that of the higher generation is the newer
}

// Store is the metrics of all processes, those that are gone included. Its methods may be
// called from any goroutine; none waits for anything but the others.
type Store struct {
	limits Limits           // fixed
	now    func() time.Time // fixed

	mu        sync.Mutex
	families  map[string][]*family // by name; more than one if processes do not agree on the type
	processes map[uint64]*process
	free      []int // indexes of cells that belong to nobody
	width     int   // indexes there are
	total     int   // series
	dropped   [lastReason + 1]uint64
	clock     uint64 // of tombstones

	// Used again by each Put.
	raw   []rawFamily
	hist  *histogram
	wired nativeScratch
}

// NewStore returns one that knows nothing yet.
func NewStore(l Limits) *Store {
	return &Store{
		limits: l.orDefault(), now: time.Now,
		families: make(map[string][]*family), processes: make(map[uint64]*process), hist: &histogram{},
	}
}

// compare orders processes by age, that of their program first.
func (p Process) compare(q Process) int {
	return cmp.Or(cmp.Compare(p.Generation, q.Generation), cmp.Compare(p.ID, q.ID))
}

// process is one that lives.
type process struct {
	Process
	index int // of its cells
	seq   uint32
	// floor is the seq of its last complete dump. What a gauge said before does not hold.
	floor uint32
	taken time.Time // when its last dump came
	facts map[*family]facts
}

// begin is for a dump that is taken now.
func (p *process) begin(partial bool) {
	p.seq++
	if !partial {
		p.floor = p.seq
	}
}

// reason is why something is not shown.
type reason uint8

const (
	reasonReserved    reason = iota + 1 // the server's own names
	reasonMalformed                     // a value that cannot be
	reasonUnsupported                   // a type nobody can add up
	reasonDuplicate                     // the same series twice in one process
	reasonSeries                        // over Limits.Series
	reasonTombstones                    // over Limits.Tombstones
	reasonDump                          // a whole dump
	lastReason        = reasonDump
)

func (r reason) String() string {
	switch r {
	case reasonReserved:
		return "reserved_name"
	case reasonMalformed:
		return "malformed"
	case reasonUnsupported:
		return "unsupported"
	case reasonDuplicate:
		return "duplicate"
	case reasonSeries:
		return "series_limit"
	case reasonTombstones:
		return "tombstone_limit"
	case reasonDump:
		return "dump"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// reserved reports whether a name is one of the server's.
func reserved(name string) bool { return strings.HasPrefix(name, "ostler_") }

// Put takes what a process says now. partial: what is missing may still be there. A dump
// that is not one changes nothing; a family or series that makes no sense is left out,
// counted, and does not stop the others.
func (s *Store) Put(from Process, dump []byte, partial bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.raw, err = splitDump(dump, s.raw[:0]); err != nil {
		s.dropped[reasonDump]++
		return fmt.Errorf("metrics of worker %d: %w", from.Worker, err)
	}
	p := s.process(from)
	p.begin(partial)
	p.taken = s.now()
	for i := range s.raw {
		s.putFamily(p, &s.raw[i])
	}
	s.forget()
	if s.total >= s.limits.Series {
		s.trim()
	}
	return nil
}

// forget lets go of the dump's memory.
func (s *Store) forget() {
	for i := range s.raw {
		f := &s.raw[i]
		clear(f.metrics)
		*f = rawFamily{metrics: f.metrics[:0]}
	}
}

func (s *Store) process(from Process) *process {
	if p := s.processes[from.ID]; p != nil {
		return p
	}
	p := &process{Process: from, facts: make(map[*family]facts)}
	if n := len(s.free); n > 0 {
		p.index, s.free = s.free[n-1], s.free[:n-1]
	} else {
		p.index = s.width
		s.width++
	}
	s.processes[from.ID] = p
	return p
}

func (s *Store) putFamily(p *process, raw *rawFamily) {
	switch {
	case reserved(string(raw.name)):
		s.dropped[reasonReserved]++
		return
	case valueField(raw.kind) == 0:
		s.dropped[reasonUnsupported]++
		return
	}
	f := s.family(raw)
	if f == nil {
		s.dropped[reasonMalformed]++
		return
	}
	if known := p.facts[f]; known.help != string(raw.help) || known.unit != string(raw.unit) || known.merge != raw.merge {
		p.facts[f] = raw.facts()
	} else if _, ok := p.facts[f]; !ok {
		p.facts[f] = known
	}
	for _, m := range raw.metrics {
		if why := s.putMetric(p, f, m); why != 0 {
			s.dropped[why]++
		}
	}
}

// family finds the family of that name and type. It is nil for a name that cannot be one.
func (s *Store) family(raw *rawFamily) *family {
	list := s.families[string(raw.name)]
	for _, f := range list {
		if f.kind == raw.kind {
			return f
		}
	}
	f := newFamily(raw)
	if f == nil {
		return nil
	}
	s.families[f.name] = append(list, f)
	return f
}

func (s *Store) putMetric(p *process, f *family, b []byte) reason {
	m, err := splitMetric(b, f.kind)
	if err != nil {
		return reasonOf(err)
	}
	sr, known, err := f.find(m.labels)
	switch {
	case err != nil:
		return reasonMalformed
	case !known && s.total >= s.limits.Series:
		return reasonSeries
	}
	if why := s.update(p, f, sr, m.value); why != 0 || known {
		return why
	}
	s.add(f, sr)
	return 0
}

// add is for a series that find has just made.
func (s *Store) add(f *family, sr *series) {
	f.series[sr.key], f.sorted = sr, nil
	s.total++
}

func reasonOf(err error) reason {
	if err == errUnsupported {
		return reasonUnsupported
	}
	return reasonMalformed
}

// Retire says that a process is gone. Its gauges go with it, everything else stays.
func (s *Store) Retire(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.processes[id]
	if p == nil {
		return // it never said anything
	}
	delete(s.processes, id)
	s.free = append(s.free, p.index)
	for f := range p.facts {
		for key, sr := range f.series {
			sr.retire(f, p)
			if !f.cumulative() && !sr.held(s) {
				delete(f.series, key)
				f.sorted = nil
				s.total--
			}
		}
		f.last = p.facts[f]
		s.removeEmpty(f)
	}
	if s.total > s.limits.Tombstones {
		s.trim()
	}
}

func (s *Store) removeEmpty(f *family) {
	if len(f.series) > 0 {
		return
	}
	for _, p := range s.processes {
		if _, ok := p.facts[f]; ok {
			return
		}
	}
	rest := slices.DeleteFunc(s.families[f.name], func(g *family) bool { return g == f })
	if s.families[f.name] = rest; len(rest) == 0 {
		delete(s.families, f.name)
	}
}

// trim drops the tombstones that have been ones for longest, if there are too many.
func (s *Store) trim() {
	type tombstone struct {
		*series
		of *family
	}
	var all []tombstone
	s.clock++
	for _, list := range s.families {
		for _, f := range list {
			for _, sr := range f.series {
				if sr.held(s) {
					sr.since = 0
					continue
				}
				sr.since = cmp.Or(sr.since, s.clock)
				all = append(all, tombstone{sr, f})
			}
		}
	}
	over := len(all) - s.limits.Tombstones
	if over <= 0 {
		return
	}
	slices.SortFunc(all, func(a, b tombstone) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.of.name, b.of.name), cmp.Compare(a.key, b.key))
	})
	for _, t := range all[:over] {
		delete(t.of.series, t.key)
		t.of.sorted = nil
		s.total--
		s.dropped[reasonTombstones]++
		s.removeEmpty(t.of)
	}
}

// live is the processes, the newest last.
func (s *Store) live() []*process {
	return slices.SortedFunc(maps.Values(s.processes), func(a, b *process) int { return a.compare(b.Process) })
}
