package appmetrics

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// nativeScratch is the native part of a histogram as it is on the wire: spans of buckets
// that follow one another, and how each bucket's count differs from the one before.
type nativeScratch struct {
	there         bool
	schema        int64
	zeroThreshold float64
	zero          uint64
	pos, neg      runs
}

type runs struct {
	spans  []span
	deltas []int64
}

type span struct {
	offset int64 // from the end of the span before, of the first from 0
	length uint64
}

func (s *nativeScratch) reset() {
	*s = nativeScratch{pos: s.pos.empty(), neg: s.neg.empty()}
}

func (r runs) empty() runs { return runs{spans: r.spans[:0], deltas: r.deltas[:0]} }

// take reads one field of a Histogram, if it is of the native part.
func (s *nativeScratch) take(x field) error {
	switch x.num {
	case histSchema:
		s.there, s.schema = true, zigzag(x.num64)
	case histZeroThreshold:
		s.zeroThreshold = math.Float64frombits(x.num64)
	case histZeroCount:
		s.zero = x.num64
	case histPosSpan:
		return s.pos.addSpan(x.bytes)
	case histNegSpan:
		return s.neg.addSpan(x.bytes)
	case histPosDelta:
		return s.pos.addDeltas(x)
	case histNegDelta:
		return s.neg.addDeltas(x)
	}
	return nil
}

func (r *runs) addSpan(b []byte) error {
	var s span
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch x.num {
		case spanOffset:
			s.offset = zigzag(x.num64)
		case spanLength:
			s.length = x.num64
		}
	}
	if len(r.spans) == maxNative || s.length > maxNative || s.offset < -maxIndex || s.offset > maxIndex {
		return errMalformed
	}
	r.spans = append(r.spans, s)
	return nil
}

func (r *runs) addDeltas(x field) error {
	return varints(x, func(v uint64) error {
		if len(r.deltas) == maxNative {
			return errMalformed
		}
		r.deltas = append(r.deltas, zigzag(v))
		return nil
	})
}

// fill makes buckets of it. Native histograms with bounds of their own (schema -53) are
// seen by their classic part, if they have one.
func (s *nativeScratch) fill(n *native) (err error) {
	if !s.there || s.schema < minSchema || s.schema > maxSchema {
		return nil
	}
	if !(s.zeroThreshold >= 0) {
		return errMalformed
	}
	n.there, n.schema = true, int32(s.schema)
	n.zeroThreshold, n.zero = s.zeroThreshold, s.zero
	if n.pos, err = s.pos.buckets(n.pos, n.farthest()); err == nil {
		n.neg, err = s.neg.buckets(n.neg, n.farthest())
	}
	return err
}

// farthest bounds the indexes: no float64 falls into a bucket beyond it, and infinities go
// one beyond the largest. So at the coarsest schema there are few, and a sum always has
// one at which its buckets are not over maxNative.
func (n *native) farthest() int64 { return maxIndex >> (maxSchema + 1 - n.schema) }

func (r *runs) buckets(into []bucket, farthest int64) ([]bucket, error) {
	deltas := r.deltas
	var index int64
	var count uint64 // a delta that makes it negative makes it too large for histogram.check
	for i, s := range r.spans {
		if i > 0 && s.offset < 0 || s.length > uint64(len(deltas)) {
			return into, errMalformed
		}
		index += s.offset
		for range s.length {
			count += uint64(deltas[0])
			deltas = deltas[1:]
			if index < -farthest || index > farthest {
				return into, errMalformed
			}
			into = append(into, bucket{int32(index), count})
			index++
		}
	}
	if len(deltas) > 0 {
		return into, errMalformed
	}
	return into, nil
}

// show is the inverse of nativeScratch.fill.
func (n *native) show(h *dto.Histogram) {
	if !n.there {
		return
	}
	h.Schema = proto.Int32(n.schema)
	h.ZeroThreshold = proto.Float64(n.zeroThreshold)
	h.ZeroCount = proto.Uint64(n.zero)
	h.PositiveSpan, h.PositiveDelta = spansOf(n.pos)
	h.NegativeSpan, h.NegativeDelta = spansOf(n.neg)
	if len(n.pos)+len(n.neg) == 0 && n.zero == 0 && n.zeroThreshold == 0 {
		// It is how an empty native histogram differs from a classic one.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
}

func spansOf(list []bucket) (spans []*dto.BucketSpan, deltas []int64) {
	next, last := int32(0), int64(0)
	for i, b := range list {
		if i == 0 || b.index != next {
			spans = append(spans, &dto.BucketSpan{Offset: proto.Int32(b.index - next), Length: proto.Uint32(0)})
		}
		*spans[len(spans)-1].Length++
		deltas = append(deltas, int64(b.n)-last)
		next, last = b.index+1, int64(b.n)
	}
	return spans, deltas
}
