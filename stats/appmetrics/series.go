package appmetrics

import (
	"math"
	"slices"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
)

// family is the series of one name and type.
type family struct {
	name   string
	kind   dto.MetricType
	series map[string]*series // by labelKey
	sorted []*series          // the same in order; nil: not known
	last   facts              // of the process that was the last to have it, when none has
}

// facts is what a process says of a family besides the numbers.
type facts struct {
	help, unit string
	merge      Merge
}

func newFamily(raw *rawFamily) *family {
	const longest = 1 << 10
	if len(raw.name) > longest || !utf8.Valid(raw.name) {
		return nil
	}
	return &family{name: string(raw.name), kind: raw.kind, series: make(map[string]*series)}
}

// find makes a series if none of these labels is known.
func (f *family) find(labels []byte) (sr *series, known bool, err error) {
	if sr := f.series[string(labels)]; sr != nil { // the usual case; this form does not allocate
		return sr, true, nil
	}
	parsed, err := parseLabels(labels)
	if err != nil {
		return nil, false, err
	}
	key := labelKey(parsed)
	if sr := f.series[key]; sr != nil {
		return sr, true, nil
	}
	return &series{labels: parsed, key: key}, false, nil
}

// cumulative reports whether values only grow, and so stay when a process is gone.
func (f *family) cumulative() bool {
	return f.kind != dto.MetricType_GAUGE && f.kind != dto.MetricType_UNTYPED
}

// series is one set of labels.
type series struct {
	labels []label // fixed
	key    string  // fixed

	cells   []cell // by process.index; shorter if the last ones never had it
	retired value  // of what is not in cells any more
	since   uint64 // when trim first saw that no process has it

	// shown is the last total of a counter, or sum of a summary or histogram, that was
	// shown. The true one does not go down, but adding up the same numbers in another order
	// can, in the last bit, and Prometheus would take that for a restart from zero.
	shown float64
}

// value is what one or several processes have counted.
type value struct {
	number  float64 // counter, gauge; sum of a summary
	count   uint64  // of a summary
	created int64   // of what counts now; zero if it does not say
	hist    *histogram
}

// cell is the value of one process. Zero seq: it has none.
type cell struct {
	seq uint32
	value
}

// maxShapes is how many different bounds of retired histograms a series remembers. A
// rollback goes back to bounds that were there before, so one is not enough.
const maxShapes = 4

// current reports whether a process says that it has this series.
func (c *cell) current(p *process) bool { return c.seq != 0 && c.seq >= p.floor }

// cell is nil if the process has none.
func (sr *series) cell(p *process) *cell {
	if p.index >= len(sr.cells) || sr.cells[p.index].seq == 0 {
		return nil
	}
	return &sr.cells[p.index]
}

// held reports whether any process has the series now. One that was deleted in every
// process is a tombstone like one whose processes are gone.
func (sr *series) held(s *Store) bool {
	for _, p := range s.processes {
		if c := sr.cell(p); c != nil && c.current(p) {
			return true
		}
	}
	return false
}

// update takes the new value of a series in p. Where it is less than it was, the
// application has begun anew, and what was is retired.
func (s *Store) update(p *process, f *family, sr *series, b []byte) reason {
	var c *cell
	if p.index < len(sr.cells) {
		if c = &sr.cells[p.index]; c.seq == p.seq {
			return reasonDuplicate
		}
	}
	next, err := readValue(f.kind, b, s.hist, &s.wired)
	if err == nil {
		err = next.check(f.kind)
	}
	if err != nil {
		return reasonOf(err)
	}
	if c == nil {
		sr.cells = append(sr.cells, make([]cell, p.index+1-len(sr.cells))...)
		c = &sr.cells[p.index]
	}
	if c.seq != 0 && f.cumulative() && !next.follows(&c.value) && p.facts[f].merge != Max {
		sr.retired.absorb(&c.value, p.Process)
	}
	if next.hist != nil {
		s.hist = c.hist // the old one's memory is for the next
		if s.hist == nil {
			s.hist = &histogram{}
		}
	}
	c.value, c.seq = next, p.seq
	return 0
}

// readValue is the inverse of value.show. h becomes part of the value of a histogram.
func readValue(kind dto.MetricType, b []byte, h *histogram, scratch *nativeScratch) (v value, err error) {
	switch kind {
	case dto.MetricType_SUMMARY:
		v.count, v.number, v.created, err = readSummary(b)
	case dto.MetricType_HISTOGRAM:
		v.hist = h
		err = h.read(b, scratch)
	default:
		v.number, v.created, err = number(b)
	}
	return v, err
}

// check refuses what one process cannot have counted. Sums over many may be beyond it.
func (v *value) check(kind dto.MetricType) error {
	switch {
	case v.hist != nil:
		return v.hist.check()
	case v.count > maxExact:
		return errMalformed
	case kind == dto.MetricType_COUNTER && !(v.number >= 0 && v.number <= math.MaxFloat64):
		return errMalformed // NaN and infinity would stay for ever
	}
	return nil
}

// follows is histogram.follows of any kind.
func (v *value) follows(last *value) bool {
	if v.hist != nil {
		return v.hist.follows(last.hist)
	}
	if last.count > 0 || v.count > 0 { // of a summary, the sum says nothing: it may go down
		return v.count >= last.count && !newer(v.created, last.created)
	}
	return v.number >= last.number && !newer(v.created, last.created)
}

// retire takes what p has into the total of those that are gone.
func (sr *series) retire(f *family, p *process) {
	c := sr.cell(p)
	if c == nil {
		return
	}
	if f.cumulative() {
		sr.retired.absorb(&c.value, p.Process)
	}
	*c = cell{}
}

// absorb adds what a process had, which is not used any more.
func (v *value) absorb(from *value, by Process) {
	v.number += from.number
	v.count += from.count
	v.created = oldest(v.created, from.created)
	if from.hist == nil {
		return
	}
	from.hist.classic.by = by
	if v.hist == nil {
		v.hist, from.hist = from.hist, nil
		return
	}
	h := v.hist
	h.count += from.hist.count
	h.sum += from.hist.sum
	h.created = oldest(h.created, from.hist.created)
	h.native.add(from.hist.native)
	h.addShape(&from.hist.classic)
}

// addShape adds buckets to those of the same bounds. Of too many the oldest is counted at
// the bounds of the next.
func (h *histogram) addShape(c *classic) {
	shapes := append([]classic{h.classic}, h.shapes...)
	n := slices.IndexFunc(shapes, func(d classic) bool { return slices.Equal(c.bounds, d.bounds) })
	if n >= 0 {
		c.addTo(&shapes[n])
		if c.by.compare(shapes[n].by) > 0 {
			shapes[n].by = c.by
		}
	} else {
		shapes = append(shapes, c.clone())
	}
	if len(shapes) > maxShapes {
		slices.SortFunc(shapes, func(a, b classic) int { return a.by.compare(b.by) })
		shapes[0].addTo(&shapes[1])
		shapes = shapes[1:]
	}
	h.classic, h.shapes = shapes[0], shapes[1:]
}

// oldest ignores zeros.
func oldest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
