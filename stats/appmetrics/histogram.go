package appmetrics

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// histogram is the state of one, or a sum of several.
//
// Invariant: classic.cum has the length of classic.bounds, both only grow along it, and
// nothing in cum is over count.
type histogram struct {
	count   uint64
	sum     float64
	created int64
	classic classic
	shapes  []classic // buckets of other bounds; only of what is retired
	native  native
}

// classic is the buckets with fixed bounds, the one of +Inf left out: it is the count.
type classic struct {
	bounds []float64
	cum    []uint64 // observations up to the bound, as on the wire
	by     Process  // the newest that had these bounds; only of what is retired
}

// The fields of Histogram and Bucket; the first two are Summary's as well.
const (
	histCount, histSum, histBucket, histSchema                = 1, 2, 3, 5
	histZeroThreshold, histZeroCount                          = 6, 7
	histNegSpan, histNegDelta, histPosSpan, histPosDelta      = 9, 10, 12, 13
	histCreated                                               = 15
	histCountFloat, histZeroFloat, histNegFloat, histPosFloat = 4, 8, 11, 14

	bucketCum, bucketBound, bucketCumFloat = 1, 2, 4

	spanOffset, spanLength = 1, 2
)

// maxBounds bounds a classic histogram.
const maxBounds = 1000

// reset makes h empty and keeps its memory.
func (h *histogram) reset() {
	*h = histogram{
		classic: classic{bounds: h.classic.bounds[:0], cum: h.classic.cum[:0]},
		native:  native{pos: h.native.pos[:0], neg: h.native.neg[:0]},
	}
}

// read is the inverse of show, and of what client_golang writes. What is left in h after an
// error is of no use. The numbers are as they come, see check.
func (h *histogram) read(b []byte, scratch *nativeScratch) error {
	h.reset()
	scratch.reset()
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch x.num {
		case histCount:
			h.count = x.num64
		case histSum:
			h.sum = math.Float64frombits(x.num64)
		case histCreated:
			h.created, err = timestamp(x.bytes)
		case histBucket:
			err = h.classic.readBucket(x.bytes)
		case histCountFloat, histZeroFloat, histNegFloat, histPosFloat:
			err = errUnsupported // histograms of fractions; nothing in client_golang makes one
		default:
			err = scratch.take(x)
		}
		if err != nil {
			return err
		}
	}
	return scratch.fill(&h.native)
}

func (c *classic) readBucket(b []byte) error {
	var cum uint64
	bound := 0.0
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch x.num {
		case bucketCum:
			cum = x.num64
		case bucketBound:
			bound = math.Float64frombits(x.num64)
		case bucketCumFloat:
			return errUnsupported
		}
	}
	if math.IsInf(bound, +1) {
		return nil
	}
	n := len(c.bounds)
	if n == maxBounds || math.IsNaN(bound) || n > 0 && bound <= c.bounds[n-1] {
		return errMalformed
	}
	c.bounds = append(c.bounds, bound)
	c.cum = append(c.cum, cum)
	return nil
}

// check is value.check. The count of a native histogram may be more than its buckets hold:
// NaN is in none.
func (h *histogram) check() error {
	cum := h.classic.cum
	if h.count > maxExact || !h.native.within(h.count) || math.IsInf(h.native.zeroThreshold, 0) {
		return errMalformed
	}
	if n := len(cum); n > 0 && cum[n-1] > h.count || !slices.IsSorted(cum) {
		return errMalformed
	}
	return nil
}

// follows reports whether h can be what last has become: nothing in it is less. A false
// answer means that the application made a new one in its place.
func (h *histogram) follows(last *histogram) bool {
	if h.count < last.count || newer(h.created, last.created) {
		return false
	}
	if slices.Equal(h.classic.bounds, last.classic.bounds) {
		for i, cum := range h.classic.cum {
			if cum < last.classic.cum[i] {
				return false
			}
		}
	}
	return h.native.follows(&last.native)
}

// newer reports whether created tells that something was made anew.
func newer(created, last int64) bool { return last != 0 && created > last }

// upTo is how many observations are known to be at most bound: exact if the histogram has
// that bound, and of all it knows the most if not. So the sum over histograms of different
// bounds is never too much, never goes down, and exact where they agree.
func (c *classic) upTo(bound float64) uint64 {
	n, found := slices.BinarySearch(c.bounds, bound)
	switch {
	case found:
		return c.cum[n]
	case n == 0:
		return 0
	}
	return c.cum[n-1]
}

// addTo adds to what total counts at its own bounds.
func (c *classic) addTo(total *classic) {
	if slices.Equal(c.bounds, total.bounds) {
		for i, n := range c.cum {
			total.cum[i] += n
		}
		return
	}
	for i, bound := range total.bounds {
		total.cum[i] += c.upTo(bound)
	}
}

func (c *classic) clone() classic {
	return classic{bounds: slices.Clone(c.bounds), cum: slices.Clone(c.cum), by: c.by}
}

// readSummary reads what of a summary can be added up. Quantiles cannot.
func readSummary(b []byte) (count uint64, sum float64, created int64, err error) {
	for len(b) > 0 {
		var x field
		if x, b, err = nextField(b); err != nil {
			return 0, 0, 0, err
		}
		switch x.num {
		case histCount:
			count = x.num64
		case histSum:
			sum = math.Float64frombits(x.num64)
		case createdOfSummary:
			if created, err = timestamp(x.bytes); err != nil {
				return 0, 0, 0, err
			}
		}
	}
	return count, sum, created, nil
}

// zigzag is sint32 and sint64.
func zigzag(v uint64) int64 { return protowire.DecodeZigZag(v) }
