package appmetrics

import (
	"math"
	"slices"
)

// native is the exponential buckets of a histogram: bucket i of schema s ends at 2^(i/2^s),
// and what is within the zero threshold has a bucket of its own.
//
// Invariant: pos and neg are sorted by index, each index once.
type native struct {
	there         bool
	schema        int32
	zeroThreshold float64
	zero          uint64
	pos, neg      []bucket
}

type bucket struct {
	index int32
	n     uint64
}

const (
	minSchema, maxSchema = -4, 8
	maxIndex             = 1 << 20 // from one bucket to another; the largest float64 is at 1024 << maxSchema
	maxNative            = 4096    // buckets; client_golang's own advice is 160
)

// within reports whether the buckets hold no more than count.
func (n *native) within(count uint64) bool {
	if n.zero > count {
		return false
	}
	count -= n.zero
	for _, list := range [...][]bucket{n.pos, n.neg} {
		for _, b := range list {
			if b.n > count {
				return false
			}
			count -= b.n
		}
	}
	return true
}

func (n *native) clone() native {
	c := *n
	c.pos, c.neg = slices.Clone(n.pos), slices.Clone(n.neg)
	return c
}

// add makes n the sum of n and m, in the coarser of the two resolutions: a bucket can be
// merged into a wider one and not the other way round.
func (n *native) add(m native) {
	if !m.there {
		return
	}
	if !n.there {
		*n = m.clone()
		return
	}
	m = m.clone()
	schema := min(n.schema, m.schema)
	n.coarsen(schema)
	m.coarsen(schema)
	for threshold := max(n.zeroThreshold, m.zeroThreshold); ; {
		threshold = m.widenZero(n.widenZero(threshold))
		if n.zeroThreshold == m.zeroThreshold {
			break
		}
	}
	n.zero += m.zero
	n.pos, n.neg = addBuckets(n.pos, m.pos), addBuckets(n.neg, m.neg)
	for len(n.pos)+len(n.neg) > maxNative && n.schema > minSchema {
		n.coarsen(n.schema - 1)
	}
}

// coarsen goes down to a schema, each step of which merges two buckets into one.
func (n *native) coarsen(schema int32) {
	if steps := n.schema - schema; steps > 0 {
		n.schema = schema
		n.pos, n.neg = halve(n.pos, steps), halve(n.neg, steps)
	}
}

func halve(list []bucket, steps int32) []bucket {
	out := list[:0]
	for _, b := range list {
		b.index = (b.index-1)>>steps + 1 // bucket i ends at a power: 1 and 2 go into 1
		if n := len(out); n > 0 && out[n-1].index == b.index {
			out[n-1].n += b.n
		} else {
			out = append(out, b)
		}
	}
	return out
}

// widenZero takes what is within threshold into the zero bucket. A bucket across it goes in
// as a whole, and then the threshold is where that bucket ends: it is returned.
func (n *native) widenZero(threshold float64) float64 {
	for n.zeroThreshold < threshold {
		n.zeroThreshold = threshold
		for _, list := range [...]*[]bucket{&n.pos, &n.neg} {
			for len(*list) > 0 && n.end((*list)[0].index-1) < threshold {
				first := (*list)[0]
				n.zero += first.n
				if first.n > 0 {
					threshold = max(threshold, n.end(first.index))
				}
				*list = (*list)[1:]
			}
		}
	}
	return max(threshold, n.zeroThreshold)
}

// end is the upper bound of a positive bucket.
func (n *native) end(index int32) float64 {
	if n.schema <= 0 {
		return math.Ldexp(1, int(index)<<-n.schema)
	}
	fraction := index & (1<<n.schema - 1)
	return math.Ldexp(math.Exp2(float64(fraction)/float64(int32(1)<<n.schema)), int(index>>n.schema))
}

func addBuckets(a, b []bucket) []bucket {
	out := make([]bucket, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].index < b[0].index:
			out, a = append(out, a[0]), a[1:]
		case a[0].index > b[0].index:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, bucket{a[0].index, a[0].n + b[0].n})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// follows is histogram.follows. A histogram that ran out of buckets has coarsened itself;
// last is seen at that resolution.
func (n *native) follows(last *native) bool {
	switch {
	case !last.there:
		return true
	case !n.there || n.schema > last.schema || n.zeroThreshold < last.zeroThreshold:
		return false // resolution never comes back by itself
	}
	before := *last
	if before.schema != n.schema || before.zeroThreshold != n.zeroThreshold {
		before = last.clone()
		before.coarsen(n.schema)
		before.widenZero(n.zeroThreshold)
	}
	return before.zeroThreshold != n.zeroThreshold || // not comparable; the count has to do
		n.zero >= before.zero && atLeast(n.pos, before.pos) && atLeast(n.neg, before.neg)
}

// atLeast reports whether now has every bucket of before with no less in it.
func atLeast(now, before []bucket) bool {
	for _, b := range before {
		for len(now) > 0 && now[0].index < b.index {
			now = now[1:]
		}
		if b.n > 0 && (len(now) == 0 || now[0].index != b.index || now[0].n < b.n) {
			return false
		}
	}
	return true
}
