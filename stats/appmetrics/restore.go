package appmetrics

import (
	"errors"
	"fmt"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// maxProcesses bounds the processes that are restored, because each makes the cells of a
// series longer. There are 1024 workers at most, and a few generations of them.
const maxProcesses = 8 << 10

// errTwice is a malformed whole made of parts that are not.
var errTwice = errors.New("there twice")

// Restore makes the store that was saved. It knows the processes that lived then: who knows
// better has to retire those that are gone since, and to go on numbering where it was.
func Restore(l Limits, data []byte) (*Store, error) {
	s := NewStore(l)
	if err := s.restore(data); err != nil {
		return nil, fmt.Errorf("saved metrics: %w", err)
	}
	return s, nil
}

// restore takes the families first, so that those of one name are in the order they were
// in; then the processes, so that with a lower limit of series it is the past that goes;
// then the past. It never trims: a store that was not saved would not do so now.
func (s *Store) restore(data []byte) error {
	saved, err := splitSaved(data)
	if err != nil {
		return err
	}
	past, err := splitDump(saved.past, nil)
	if err != nil {
		return fmt.Errorf("of the past: %w", err)
	}
	families := make([]*family, len(past))
	for i := range past {
		if families[i], err = s.restoreFamily(&past[i]); err != nil {
			return fmt.Errorf("metric %.100q: %w", past[i].name, err)
		}
	}
	for _, b := range saved.processes {
		if err := s.restoreProcess(b); err != nil {
			return err
		}
	}
	for i, f := range families {
		for _, b := range past[i].metrics {
			if err := s.restorePast(f, b); err != nil {
				return fmt.Errorf("metric %.100q, of the past: %w", f.name, err)
			}
		}
		s.removeEmpty(f)
	}
	return s.restoreDropped(saved.dropped)
}

// savedParts is what Save wrote, not looked at yet.
type savedParts struct {
	processes     [][]byte
	past, dropped []byte
}

func splitSaved(data []byte) (parts savedParts, err error) {
	version, rest, err := nextField(data)
	if err != nil || version.num != savedVersion || version.bytes != nil {
		return parts, errors.New("they do not begin with a version")
	}
	if version.num64 != savedFormat {
		return parts, fmt.Errorf("they are of format %d, this program knows format %d only", version.num64, savedFormat)
	}
	err = eachField(rest, func(x field) error {
		switch x.num {
		case savedProcess:
			if x.bytes == nil {
				return errMalformed
			}
			parts.processes = append(parts.processes, x.bytes)
		case savedPast:
			parts.past = x.bytes
		case savedDropped:
			parts.dropped = x.bytes
		}
		return nil
	})
	switch {
	case err != nil:
		return parts, err
	case parts.past == nil || parts.dropped == nil:
		return parts, errors.New("they are cut short")
	case len(parts.processes) > maxProcesses:
		return parts, fmt.Errorf("they are of %d processes, at most %d can be", len(parts.processes), maxProcesses)
	}
	return parts, nil
}

func (s *Store) restoreFamily(raw *rawFamily) (*family, error) {
	if reserved(string(raw.name)) || valueField(raw.kind) == 0 {
		return nil, errMalformed
	}
	before := len(s.families[string(raw.name)])
	f := s.family(raw)
	switch {
	case f == nil:
		return nil, errMalformed
	case len(s.families[f.name]) == before:
		return nil, errTwice
	}
	f.last = raw.facts()
	return f, nil
}

// restoreProcess lets a process say again what it said.
func (s *Store) restoreProcess(b []byte) error {
	from, err := readProcess(b)
	if err != nil {
		return fmt.Errorf("process: %w", err)
	}
	if s.processes[from.ID] != nil {
		return fmt.Errorf("process %d: %w", from.ID, errTwice)
	}
	p := s.process(from)
	var before, says []byte
	err = eachField(b, func(x field) error {
		switch x.num {
		case processTaken:
			p.taken = time.Unix(0, int64(x.num64))
		case processBefore:
			before = x.bytes
		case processSays:
			says = x.bytes
		}
		return nil
	})
	if err == nil {
		err = s.restoreDump(p, before, true)
	}
	if err == nil {
		err = s.restoreDump(p, says, false)
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", from.ID, err)
	}
	return nil
}

// restoreDump is Put where nothing may be left out, unless there is less room than there was.
func (s *Store) restoreDump(p *process, dump []byte, partial bool) (err error) {
	if s.raw, err = splitDump(dump, s.raw[:0]); err != nil {
		return err
	}
	defer s.forget()
	p.begin(partial)
	for i := range s.raw {
		before := s.dropped
		s.putFamily(p, &s.raw[i])
		if before[reasonSeries] = s.dropped[reasonSeries]; before != s.dropped {
			return fmt.Errorf("metric %.100q: %w", s.raw[i].name, errMalformed)
		}
	}
	return nil
}

// restorePast is the inverse of series.past.
func (s *Store) restorePast(f *family, b []byte) error {
	m, err := splitMetric(b, f.kind)
	if err != nil && err != errUnsupported { // which is that nothing is retired
		return err
	}
	sr, known, err := f.find(m.labels)
	if err != nil {
		return err
	}
	switch { // Invariant: a series that no process has is retired, and no gauge.
	case !known && s.total >= s.limits.Series:
		s.dropped[reasonSeries]++
		return nil
	case m.there && !f.cumulative(), !m.there && !known:
		return errMalformed
	case m.there:
		if sr.retired, err = s.readRetired(f.kind, m.value); err != nil {
			return err
		}
	}
	if err := sr.readRest(f, b); err != nil {
		return err
	}
	s.clock = max(s.clock, sr.since)
	if !known {
		s.add(f, sr)
	}
	return nil
}

func (s *Store) readRetired(kind dto.MetricType, b []byte) (v value, err error) {
	if v, err = readValue(kind, b, &histogram{}, &s.wired); err != nil {
		return v, err
	}
	if v.hist != nil {
		return v, v.hist.readShapes(b)
	}
	if kind == dto.MetricType_COUNTER && !(v.number >= 0) {
		return v, errMalformed // it would never be shown again
	}
	return v, nil
}

// readShapes takes from the fields of a histogram what addShape knows of it.
func (h *histogram) readShapes(b []byte) error {
	return eachField(b, func(x field) (err error) {
		switch x.num {
		case histBy:
			h.classic.by, err = readProcess(x.bytes)
		case histShape:
			if len(h.shapes) == maxShapes-1 {
				return errMalformed
			}
			var c classic
			c, err = readShape(x.bytes)
			h.shapes = append(h.shapes, c)
		}
		return err
	})
}

func readShape(b []byte) (c classic, err error) {
	err = eachField(b, func(x field) (err error) {
		switch x.num {
		case histBucket:
			err = c.readBucket(x.bytes)
		case histBy:
			c.by, err = readProcess(x.bytes)
		}
		return err
	})
	return c, err
}

// readRest takes from the fields of a metric what is neither labels nor value.
func (sr *series) readRest(f *family, b []byte) error {
	return eachField(b, func(x field) error {
		switch x.num {
		case metricShown:
			sr.shown = math.Float64frombits(x.num64)
			if f.kind == dto.MetricType_COUNTER && !(sr.shown >= 0) {
				return errMalformed // no total would be larger
			}
		case metricSince:
			sr.since = x.num64
		}
		return nil
	})
}

func readProcess(b []byte) (p Process, err error) {
	err = eachField(b, func(x field) error {
		switch x.num {
		case processID:
			p.ID = x.num64
		case processWorker:
			p.Worker = int(x.num64)
		case processGeneration:
			p.Generation = int(x.num64)
		}
		return nil
	})
	return p, err
}

// restoreDropped adds to what was left out just now.
func (s *Store) restoreDropped(dump []byte) error {
	families, err := splitDump(dump, nil)
	if err != nil {
		return fmt.Errorf("what was dropped: %w", err)
	}
	for i := range families {
		for _, b := range families[i].metrics {
			if err := s.addDropped(b); err != nil {
				return fmt.Errorf("what was dropped: %w", err)
			}
		}
	}
	return nil
}

// addDropped skips a reason that this program does not know.
func (s *Store) addDropped(b []byte) error {
	m, err := splitMetric(b, dto.MetricType_COUNTER)
	if err != nil {
		return err
	}
	labels, err := parseLabels(m.labels)
	if err != nil {
		return err
	}
	n, _, err := number(m.value)
	if err != nil || len(labels) != 1 || !(n >= 0 && n <= float64(maxExact)) {
		return errMalformed
	}
	for why := reason(1); why <= lastReason; why++ {
		if why.String() == labels[0].value {
			s.dropped[why] += uint64(n)
		}
	}
	return nil
}
