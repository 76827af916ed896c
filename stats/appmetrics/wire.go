package appmetrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The fields of io.prometheus.client that are read here. Everything is decoded by hand:
// the generated code would allocate a dozen objects for each series of each worker at each
// scrape, where this finds the series it has by the bytes of its labels.
const (
	familyName, familyHelp, familyType, familyMetric, familyUnit = 1, 2, 3, 4, 5
	familyMerge                                                  = 100 // ours; others skip it

	metricLabel, metricGauge, metricCounter, metricSummary = 1, 2, 3, 4
	metricUntyped, metricHistogram                         = 5, 7

	labelName, labelValue = 1, 2

	valueOf, createdOfCounter           = 1, 3    // Counter, Gauge, Untyped
	createdOfSummary                    = 4       // Summary; count and sum are those of Histogram
	createdSeconds, createdNanos        = 1, 2    // Timestamp
	maxExact                     uint64 = 1 << 53 // what a float64 can count to; no honest counter is beyond
)

var (
	errMalformed   = errors.New("malformed metrics")
	errUnsupported = errors.New("a kind of metric that cannot be merged")
)

// appendFamily adds one family to a dump.
func appendFamily(dump []byte, f *dto.MetricFamily, m Merge) ([]byte, error) {
	if f == nil {
		return dump, nil
	}
	body, err := proto.Marshal(f)
	if err != nil {
		return dump, fmt.Errorf("metric %q: %w", f.GetName(), err)
	}
	if m != 0 {
		body = protowire.AppendTag(body, familyMerge, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(m))
	}
	dump = protowire.AppendVarint(dump, uint64(len(body)))
	return append(dump, body...), nil
}

// rawFamily is a family of a dump, its metrics not looked at yet. Its slices are the dump's.
type rawFamily struct {
	name, help, unit []byte
	kind             dto.MetricType
	merge            Merge
	metrics          [][]byte
}

// field is one field of a message: bytes, or a number.
type field struct {
	num   protowire.Number
	bytes []byte
	num64 uint64 // of a varint or a fixed64
}

// nextField takes one field off b.
func nextField(b []byte) (f field, rest []byte, err error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, nil, errMalformed
	}
	f.num, b = num, b[n:]
	switch typ {
	case protowire.VarintType:
		f.num64, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		f.num64, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
		if f.bytes == nil { // so that it differs from a number
			f.bytes = []byte{}
		}
	default:
		n = protowire.ConsumeFieldValue(num, typ, b)
		f.num = -1 // nothing we know is of such a type
	}
	if n < 0 {
		return f, nil, errMalformed
	}
	return f, b[n:], nil
}

// eachField calls do for the fields of a message.
func eachField(b []byte, do func(field) error) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		if err := do(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// splitDump checks that a dump is a sequence of families, and appends them to into. What
// into holds of earlier dumps is used again.
func splitDump(dump []byte, into []rawFamily) ([]rawFamily, error) {
	for len(dump) > 0 {
		body, n := protowire.ConsumeBytes(dump)
		if n < 0 {
			return into, errMalformed
		}
		dump = dump[n:]
		var f rawFamily
		if len(into) < cap(into) {
			f.metrics = into[:len(into)+1][len(into)].metrics[:0]
		}
		if err := f.split(body); err != nil {
			return into, err
		}
		into = append(into, f)
	}
	return into, nil
}

func (f *rawFamily) split(b []byte) error {
	f.kind = dto.MetricType_COUNTER // proto2: zero is the default
	err := eachField(b, func(x field) error {
		switch x.num {
		case familyName:
			f.name = x.bytes
		case familyHelp:
			f.help = x.bytes
		case familyUnit:
			f.unit = x.bytes
		case familyType:
			f.kind = dto.MetricType(int32(min(x.num64, math.MaxInt32)))
		case familyMerge:
			f.merge = Merge(min(x.num64, math.MaxUint8))
		case familyMetric:
			if x.bytes == nil {
				return errMalformed
			}
			f.metrics = append(f.metrics, x.bytes)
		}
		return nil
	})
	if err == nil && len(f.name) == 0 {
		err = errMalformed
	}
	if !f.merge.Valid() {
		f.merge = 0
	}
	return err
}

func (f *rawFamily) facts() facts { return facts{familyText(f.help), familyText(f.unit), f.merge} }

// rawMetric is a metric of a dump: the bytes of its labels, and of its value.
type rawMetric struct {
	labels []byte // the fields metricLabel, one after the other
	value  []byte
	there  bool
}

// splitMetric finds the value of the kind that the family has.
func splitMetric(b []byte, kind dto.MetricType) (m rawMetric, err error) {
	want := valueField(kind)
	whole, contiguous := b, true
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			return m, err
		}
		size := len(b) - len(rest)
		switch {
		case x.bytes == nil:
		case x.num == metricLabel && contiguous:
			m.labels = whole[:len(m.labels)+size]
		case x.num == metricLabel:
			return m, errMalformed // nobody writes them so, and it would cost a copy
		case x.num == want:
			m.value, m.there = x.bytes, true
		}
		contiguous = contiguous && x.num == metricLabel
		b = rest
	}
	if !m.there {
		return m, errUnsupported
	}
	return m, nil
}

// valueField is zero for the kinds that are not merged.
func valueField(kind dto.MetricType) protowire.Number {
	switch kind {
	case dto.MetricType_COUNTER:
		return metricCounter
	case dto.MetricType_GAUGE:
		return metricGauge
	case dto.MetricType_UNTYPED:
		return metricUntyped
	case dto.MetricType_SUMMARY:
		return metricSummary
	case dto.MetricType_HISTOGRAM:
		return metricHistogram
	}
	return 0
}

// number is a counter, a gauge or an untyped value.
func number(b []byte) (v float64, created int64, err error) {
	for len(b) > 0 {
		var x field
		if x, b, err = nextField(b); err != nil {
			return 0, 0, err
		}
		switch x.num {
		case valueOf:
			v = math.Float64frombits(x.num64)
		case createdOfCounter:
			if created, err = timestamp(x.bytes); err != nil {
				return 0, 0, err
			}
		}
	}
	return v, created, nil
}

// timestamp is in nanoseconds since 1970, zero if there is none.
func timestamp(b []byte) (ns int64, err error) {
	const latest = math.MaxInt64/1_000_000_000 - 1
	var seconds, nanos uint64
	for len(b) > 0 {
		var x field
		if x, b, err = nextField(b); err != nil {
			return 0, err
		}
		switch x.num {
		case createdSeconds:
			seconds = min(x.num64, latest) // what is before 1970 comes out as latest
		case createdNanos:
			nanos = min(x.num64, 999_999_999)
		}
	}
	return int64(seconds*1_000_000_000 + nanos), nil
}

// familyText is text of the application that is going to be shown. Of what it gives it
// makes the same again.
func familyText(b []byte) string {
	const longest = 4 << 10
	text := strings.ToValidUTF8(string(b[:min(len(b), longest)]), "\uFFFD") // three bytes for one
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}

// varints calls do for the numbers of a repeated field, packed or not.
func varints(x field, do func(uint64) error) error {
	if x.bytes == nil {
		return do(x.num64)
	}
	for b := x.bytes; len(b) > 0; {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return errMalformed
		}
		if err := do(v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
