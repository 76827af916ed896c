package endpoint

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed17661985/ostler/stats"
)

// kind is what Prometheus calls the type of a metric.
type kind uint8

const (
	gauge kind = iota + 1
	counter
	histogram
)

func (k kind) String() string {
	switch k {
	case gauge:
		return "gauge"
	case counter:
		return "counter"
	case histogram:
		return "histogram"
	}
	return "kind without a name"
}

// value is how the kinds that are one number are told to Prometheus.
func (k kind) value() prometheus.ValueType {
	if k == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// family is a metric with all its labels' values: what the table in docs/stats.md shows of
// it, and how it is read off a snapshot.
type family struct {
	name   string
	kind   kind
	help   string
	labels []string
	read   func(s *stats.Snapshot, out *series)
}

// series takes the values of one family.
type series struct {
	desc *prometheus.Desc
	kind kind
	ch   chan<- prometheus.Metric

	first []string // values of labels that stand before what add is given
}

// with gives series whose first label has this value.
func (o *series) with(value string) *series {
	more := *o
	more.first = []string{value}
	return &more
}

func (o *series) add(v float64, labels ...string) {
	o.ch <- prometheus.MustNewConstMetric(o.desc, o.kind.value(), v, o.values(labels)...)
}

// values are what Prometheus takes, whatever bytes the name of a folder is made of.
func (o *series) values(labels []string) []string {
	all := slices.Concat(o.first, labels)
	for i, v := range all {
		all[i] = strings.ToValidUTF8(v, "\uFFFD")
	}
	return all
}

func (o *series) count(n uint64, labels ...string) { o.add(float64(n), labels...) }

// micros is for what a snapshot has in microseconds.
func (o *series) micros(n uint64, labels ...string) { o.add(seconds(n), labels...) }

func (o *series) flag(is bool, labels ...string) {
	if is {
		o.add(1, labels...)
	} else {
		o.add(0, labels...)
	}
}

func (o *series) each(codes stats.StatusCodes, labels ...string) {
	for _, c := range []struct {
		class string
		n     uint64
	}{
		{"1xx", codes.Informational}, {"2xx", codes.Successful}, {"3xx", codes.Redirection},
		{"4xx", codes.ClientError}, {"5xx", codes.ServerError}, {"other", codes.Other},
	} {
		o.count(c.n, append(slices.Clip(labels), c.class)...)
	}
}

// distribution counts from the buckets: a histogram whose +Inf is less than one of its
// buckets is refused.
func (o *series) distribution(l stats.Latency, labels ...string) {
	var count uint64
	buckets := make(map[float64]uint64, len(l.Bounds))
	for i, n := range l.Buckets {
		count += n
		if i < len(l.Bounds) { // the last bucket has no bound
			buckets[seconds(l.Bounds[i])] = count
		}
	}
	o.ch <- prometheus.MustNewConstHistogram(o.desc, count, seconds(l.Sum), buckets, o.values(labels)...)
}

func seconds(micros uint64) float64 { return float64(micros) / 1e6 }

// plus sums two distributions. Those of one program have the same bounds; of one that
// nobody filled there are none.
func plus(a, b stats.Latency) stats.Latency {
	if len(a.Buckets) == 0 {
		a.Bounds, a.Buckets = b.Bounds, make([]uint64, len(b.Buckets))
	}
	sum := slices.Clone(a.Buckets)
	for i := range min(len(sum), len(b.Buckets)) {
		sum[i] += b.Buckets[i]
	}
	return stats.Latency{Sum: a.Sum + b.Sum, Bounds: a.Bounds, Buckets: sum}
}

// collector makes all metrics of one scrape from one snapshot, so that they agree.
type collector struct {
	src      stats.Source
	families []family
	descs    []*prometheus.Desc // of families, in the same order
}

func newCollector(src stats.Source, all []family) *collector {
	c := &collector{src: src, families: all}
	for _, f := range all {
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, nil))
	}
	return c
}

// Describe lets the registry find a clash of names when it is made, not at a scrape.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect takes one snapshot.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.src.Snapshot()
	s.Sockets = unique(s.Sockets)
	for i, f := range c.families {
		f.read(&s, &series{desc: c.descs[i], kind: f.kind, ch: ch})
	}
}

// spawned gives the workers that ever had a process, by their label. The others have id 0,
// all of them.
func spawned(s *stats.Snapshot) iter.Seq2[string, *stats.Worker] {
	return func(yield func(string, *stats.Worker) bool) {
		for i := range s.Workers {
			if w := &s.Workers[i]; w.ID != 0 && !yield(strconv.Itoa(w.ID), w) {
				return
			}
		}
	}
}

// unique keeps the first socket of each name: two series with the same labels would cost
// the whole family.
func unique(all []stats.Socket) []stats.Socket {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b stats.Socket) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(sorted, func(a, b stats.Socket) bool { return a.Name == b.Name })
}
