package appmetrics

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// view is one Gather.
type view struct {
	live   []*process       // the newest last
	newest map[*family]seen // of the families that a live process has
	hidden int              // families that are not shown because of another of that name
}

// seen is the newest process that has a family, and what it says of it.
type seen struct {
	by *process
	facts
}

// Gather is the sum of what the processes said last, sorted by name. It is never an error.
func (s *Store) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &view{live: s.live(), newest: make(map[*family]seen)}
	for _, p := range v.live {
		for f, facts := range p.facts {
			v.newest[f] = seen{p, facts}
		}
	}
	chosen := make(map[string]*family, len(s.families))
	for name, list := range s.families {
		chosen[name] = v.choose(list)
	}
	v.dropSuffixes(chosen)
	var all []*dto.MetricFamily
	for _, f := range chosen {
		if shown := v.show(f); shown != nil {
			all = append(all, shown)
		}
	}
	all = append(all, s.own(v)...)
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, nil
}

// choose is for a name whose type is not the same everywhere: the newest program that
// serves is right about it, or the last that did.
func (v *view) choose(list []*family) *family {
	v.hidden += len(list) - 1
	return slices.MaxFunc(list, func(f, g *family) int { return v.compare(f, g) })
}

func (v *view) compare(f, g *family) int {
	a, b := v.newest[f].by, v.newest[g].by
	switch {
	case a != nil && b != nil:
		return a.compare(b.Process)
	case a != nil:
		return 1
	case b != nil:
		return -1
	}
	return cmp.Compare(f.kind, g.kind) // both are of the past; always the same one
}

// dropSuffixes takes out what would be shown under the name of another's part: a counter
// x_count beside a histogram x, from two programs that no registry could compare.
func (v *view) dropSuffixes(chosen map[string]*family) {
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		for _, suffix := range [...]string{"_count", "_sum", "_bucket"} {
			base, ok := strings.CutSuffix(name, suffix)
			whole := chosen[base]
			if !ok || whole == nil || chosen[name] == nil || !hasPart(whole.kind, suffix) {
				continue
			}
			v.hidden++
			if v.compare(chosen[name], whole) > 0 {
				delete(chosen, base)
			} else {
				delete(chosen, name)
			}
		}
	}
}

func hasPart(kind dto.MetricType, suffix string) bool {
	return kind == dto.MetricType_HISTOGRAM || kind == dto.MetricType_SUMMARY && suffix != "_bucket"
}

// show is nil for a family without series.
func (v *view) show(f *family) *dto.MetricFamily {
	say, ok := v.newest[f]
	if !ok {
		say.facts = f.last
	}
	out := f.shell(say.facts)
	for _, sr := range f.inOrder() {
		switch f.kind {
		case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
			out.Metric = append(out.Metric, v.gauge(f, sr, say.merge)...)
		case dto.MetricType_COUNTER:
			out.Metric = append(out.Metric, v.counter(sr, say.merge))
		case dto.MetricType_SUMMARY:
			out.Metric = append(out.Metric, v.summary(sr))
		case dto.MetricType_HISTOGRAM:
			out.Metric = append(out.Metric, v.histogram(sr))
		}
	}
	if len(out.Metric) == 0 {
		return nil
	}
	return out
}

// shell is a family without its metrics.
func (f *family) shell(say facts) *dto.MetricFamily {
	out := &dto.MetricFamily{Name: proto.String(f.name), Type: f.kind.Enum()}
	if say.help != "" {
		out.Help = proto.String(say.help)
	}
	if say.unit != "" {
		out.Unit = proto.String(say.unit)
	}
	return out
}

func (f *family) inOrder() []*series {
	if f.sorted == nil {
		f.sorted = slices.SortedFunc(maps.Values(f.series), func(a, b *series) int {
			return slices.CompareFunc(a.labels, b.labels, func(x, y label) int {
				return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.value, y.value))
			})
		})
	}
	return f.sorted
}

// gauge is of the processes that say it now.
func (v *view) gauge(f *family, sr *series, m Merge) (out []*dto.Metric) {
	total, any := 0.0, false
	for i, p := range slices.Backward(v.live) {
		c := sr.cell(p)
		switch {
		case c == nil || !c.current(p):
		case m == PerWorker:
			if !v.replaced(sr, i) {
				out = append(out, plain(f.kind, withWorker(sr.labels, strconv.Itoa(p.Worker)), c.number))
			}
		case any:
			total = m.of(total, c.number)
		default:
			total, any = c.number, true
		}
	}
	if any {
		return append(out, plain(f.kind, sr.labels, total))
	}
	slices.Reverse(out) // of the worker that was started first comes first
	return out
}

// of merges what an older process says into total. NaN is no extreme.
func (m Merge) of(total, older float64) float64 {
	switch {
	case m == Last:
		return total
	case m == Max && (older > total || math.IsNaN(total)), m == Min && (older < total || math.IsNaN(total)):
		return older
	case m == Max || m == Min:
		return total
	}
	return total + older
}

// replaced reports whether a newer process in the slot of live[i] has the series too.
func (v *view) replaced(sr *series, i int) bool {
	return slices.ContainsFunc(v.live[i+1:], func(q *process) bool {
		c := sr.cell(q)
		return q.Worker == v.live[i].Worker && c != nil && c.current(q)
	})
}

func plain(kind dto.MetricType, labels []label, v float64) *dto.Metric {
	return (&value{number: v}).show(kind, labels)
}

// show is a value as client_golang would write it.
func (v *value) show(kind dto.MetricType, labels []label) *dto.Metric {
	m := &dto.Metric{Label: labelPairs(labels)}
	switch kind {
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: proto.Float64(v.number)}
	case dto.MetricType_UNTYPED:
		m.Untyped = &dto.Untyped{Value: proto.Float64(v.number)}
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: proto.Float64(v.number), CreatedTimestamp: asTime(v.created)}
	case dto.MetricType_SUMMARY:
		m.Summary = &dto.Summary{
			SampleCount: proto.Uint64(v.count), SampleSum: proto.Float64(v.number), CreatedTimestamp: asTime(v.created),
		}
	case dto.MetricType_HISTOGRAM:
		m.Histogram = v.hist.show()
	}
	return m
}

func (h *histogram) show() *dto.Histogram {
	out := &dto.Histogram{
		SampleCount: proto.Uint64(h.count), SampleSum: proto.Float64(h.sum),
		CreatedTimestamp: asTime(h.created), Bucket: h.classic.show(),
	}
	h.native.show(out)
	return out
}

func (c *classic) show() []*dto.Bucket {
	all := make([]*dto.Bucket, len(c.bounds))
	for i, bound := range c.bounds {
		all[i] = &dto.Bucket{UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(c.cum[i])}
	}
	return all
}

func (v *view) counter(sr *series, m Merge) *dto.Metric {
	total := value{number: sr.retired.number, created: sr.retired.created}
	if m == Max {
		total.number = 0
	}
	for _, p := range v.live {
		if c := sr.cell(p); c != nil {
			if m == Max {
				total.number = max(total.number, c.number)
			} else {
				total.number += c.number
			}
			total.created = oldest(total.created, c.created)
		}
	}
	sr.shown = max(total.number, sr.shown)
	total.number = sr.shown
	return total.show(dto.MetricType_COUNTER, sr.labels)
}

func (v *view) summary(sr *series) *dto.Metric {
	total := sr.retired
	for _, p := range v.live {
		if c := sr.cell(p); c != nil {
			total.count += c.count
			total.number += c.number
			total.created = oldest(total.created, c.created)
		}
	}
	total.number = sr.steady(total.number)
	return total.show(dto.MetricType_SUMMARY, sr.labels)
}

// steady keeps a sum from going down by no more than rounding. One that goes down further
// has negative observations in it.
func (sr *series) steady(sum float64) float64 {
	if !(sum < sr.shown && sr.shown-sum < 1e-9*sr.shown) {
		sr.shown = sum
	}
	return sr.shown
}

// histogram has the bounds of the newest process that has the series; see classic.upTo for
// what others count there.
func (v *view) histogram(sr *series) *dto.Metric {
	var total histogram
	bounds := sr.bounds(v.live)
	total.classic = classic{bounds: bounds, cum: make([]uint64, len(bounds))}
	add := func(h *histogram) {
		total.count += h.count
		total.sum += h.sum
		total.created = oldest(total.created, h.created)
		h.classic.addTo(&total.classic)
		total.native.add(h.native)
	}
	if sr.retired.hist != nil {
		add(sr.retired.hist)
		for i := range sr.retired.hist.shapes {
			sr.retired.hist.shapes[i].addTo(&total.classic)
		}
	}
	for _, p := range v.live {
		if c := sr.cell(p); c != nil {
			add(c.hist)
		}
	}
	total.sum = sr.steady(total.sum)
	return (&value{hist: &total}).show(dto.MetricType_HISTOGRAM, sr.labels)
}

// bounds is not to be changed.
func (sr *series) bounds(live []*process) []float64 {
	for _, p := range slices.Backward(live) {
		if c := sr.cell(p); c != nil {
			return c.hist.classic.bounds
		}
	}
	newest := &sr.retired.hist.classic
	for i := range sr.retired.hist.shapes {
		if c := &sr.retired.hist.shapes[i]; c.by.compare(newest.by) > 0 {
			newest = c
		}
	}
	return newest.bounds
}

func asTime(ns int64) *timestamppb.Timestamp {
	if ns == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, ns))
}
