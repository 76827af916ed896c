package appmetrics

import (
	"fmt"
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// What Save writes is a message of these fields. A program skips fields it does not know;
// one without which the rest is wrong needs another format.
const (
	savedFormat = 1 // of this table

	savedVersion = 1 // varint: savedFormat; it comes first
	savedProcess = 2 // message of the process fields, for each that lives
	savedPast    = 3 // dump: every family and series, with what is retired of it
	savedDropped = 4 // dump: ostler_app_metrics_dropped_total; it comes last

	processID, processWorker, processGeneration = 1, 2, 3 // varints

	processTaken  = 4 // varint: when its last dump came, in nanoseconds since 1970
	processBefore = 5 // dump: what it said once and does not say any more
	processSays   = 6 // dump: what it says

	// Of a series in savedPast, beside the fields of Metric and Histogram.
	metricShown = 100 // fixed64: series.shown
	metricSince = 101 // varint: series.since
	histBy      = 100 // message of processID and so on: classic.by
	histShape   = 101 // message of histBucket and histBy, for each of histogram.shapes
)

// Save gives what Restore makes the same store of, in another program.
func (s *Store) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.save()
	if err != nil {
		return nil, fmt.Errorf("save metrics: %w", err)
	}
	return data, nil
}

func (s *Store) save() ([]byte, error) {
	families := s.inOrder()
	b := appendNumber(nil, savedVersion, savedFormat)
	for _, p := range s.live() {
		one, err := p.save(families)
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, savedProcess, one)
	}
	var past []byte
	var err error
	for _, f := range families {
		if past, err = f.savePast(past); err != nil {
			return nil, err
		}
	}
	dropped, err := appendFamily(nil, s.droppedFamily(), 0)
	if err != nil {
		return nil, err
	}
	return appendBytes(appendBytes(b, savedPast, past), savedDropped, dropped), nil
}

// inOrder is all families by name. Of those that share one the first is kept the first: it
// counts where a process has said both.
func (s *Store) inOrder() (all []*family) {
	for _, name := range slices.Sorted(maps.Keys(s.families)) {
		all = append(all, s.families[name]...)
	}
	return all
}

// save writes a process as two dumps, the first of which it made before the second.
func (p *process) save(families []*family) ([]byte, error) {
	var before, says []byte
	for _, f := range families {
		facts, ok := p.facts[f]
		if !ok {
			continue
		}
		then, now := f.shell(facts), f.shell(facts)
		for _, sr := range f.inOrder() {
			switch c := sr.cell(p); {
			case c == nil:
			case c.current(p):
				now.Metric = append(now.Metric, c.show(f.kind, sr.labels))
			default:
				then.Metric = append(then.Metric, c.show(f.kind, sr.labels))
			}
		}
		var err error
		if len(then.Metric) > 0 {
			if before, err = appendFamily(before, then, facts.merge); err != nil {
				return nil, err
			}
		}
		if says, err = appendFamily(says, now, facts.merge); err != nil {
			return nil, err
		}
	}
	b := appendNumber(p.Process.append(nil), processTaken, uint64(p.taken.UnixNano()))
	return appendBytes(appendBytes(b, processBefore, before), processSays, says), nil
}

func (f *family) savePast(dump []byte) ([]byte, error) {
	out := f.shell(f.last)
	for _, sr := range f.inOrder() {
		out.Metric = append(out.Metric, sr.past(f))
	}
	return appendFamily(dump, out, f.last.merge)
}

// past is a series without what is in its cells.
func (sr *series) past(f *family) *dto.Metric {
	m := &dto.Metric{Label: labelPairs(sr.labels)}
	switch h := sr.retired.hist; {
	case h != nil:
		m = sr.retired.show(f.kind, sr.labels)
		more := appendBytes(nil, histBy, h.classic.by.append(nil))
		for i := range h.shapes {
			more = appendBytes(more, histShape, h.shapes[i].append(nil))
		}
		m.Histogram.ProtoReflect().SetUnknown(more)
	case f.cumulative() && f.kind != dto.MetricType_HISTOGRAM:
		m = sr.retired.show(f.kind, sr.labels)
	}
	more := appendFloat(nil, metricShown, sr.shown)
	m.ProtoReflect().SetUnknown(appendNumber(more, metricSince, sr.since))
	return m
}

func (p Process) append(b []byte) []byte {
	b = appendNumber(b, processID, p.ID)
	b = appendNumber(b, processWorker, uint64(p.Worker))
	return appendNumber(b, processGeneration, uint64(p.Generation))
}

func (c *classic) append(b []byte) []byte {
	for i, bound := range c.bounds {
		one := appendFloat(nil, bucketBound, bound)
		b = appendBytes(b, histBucket, appendNumber(one, bucketCum, c.cum[i]))
	}
	return appendBytes(b, histBy, c.by.append(nil))
}

func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendFloat(b []byte, num protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), math.Float64bits(v))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}
