package appmetrics

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// source is one registry. Its methods are called from one goroutine at a time.
type source struct {
	gatherer prometheus.Gatherer // fixed
	rules    []Rules             // fixed; the first one that knows a name counts

	running *pass        // a Gather that has not come back, or was not looked at since
	walking atomic.Int32 // walks that have not come back
}

// maxWalks bounds the goroutines that collectors which never return can hold.
const maxWalks = 32

// merge is zero for what is merged by its type alone.
func (s *source) merge(f *dto.MetricFamily) Merge {
	switch f.GetType() {
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
		for _, r := range s.rules {
			if m := r.find(f.GetName()); m != 0 {
				return m
			}
		}
		if f.GetType() == dto.MetricType_UNTYPED {
			return Max // it may be anything; this is right for what is the same everywhere
		}
		return usual(f.GetName())
	case dto.MetricType_COUNTER:
		if sharedCounter(f.GetName()) {
			return Max
		}
	}
	return 0
}

// pass is a Gather under way.
type pass struct {
	done     chan struct{} // closed when the rest is valid
	panicked bool
	harvest
}

// begin gathers on a goroutine of its own, because nobody can make a collector return.
func begin(g prometheus.Gatherer) *pass {
	p := &pass{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer func() {
			if v := recover(); v != nil {
				p.panicked, p.harvest = true, harvest{err: fmt.Errorf("gather metrics: panic: %v", v)}
			}
		}()
		p.families, p.err = g.Gather()
	}()
	return p
}

// gather returns when ctx ends at the latest. Collectors run side by side in a registry,
// but what it has comes all at once, when the slowest is done. So half the time is for
// that, and the rest for collecting one by one what can be had. The slow one is not given
// up: what it says is in the next answer.
func (s *source) gather(ctx context.Context) harvest {
	if s.running == nil {
		s.running = begin(s.gatherer)
	}
	p := s.running
	half, cancel := halfOf(ctx)
	defer cancel()
	select {
	case <-p.done:
		s.running = nil
		if !p.panicked {
			return p.harvest
		}
	case <-half.Done():
	}
	h := s.walk(ctx)
	if !p.panicked {
		h.partial = true
		h.err = errors.Join(h.err, errors.New("gather metrics: a collector does not return in time"))
		return h
	}
	h.err = errors.Join(p.err, h.err)
	return h
}

// halfOf ends after half the time that ctx has.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	ends, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(ends)/2)
}

// walks is how often a registry is walked through in one answer. Where one walk gets
// stuck, the next, which takes the collectors in another order, finds more.
const walks = 4

// walk collects one by one, and saves what a panic or a slow collector would take with it.
func (s *source) walk(ctx context.Context) (h harvest) {
	c, ok := s.gatherer.(prometheus.Collector) // a Registry is
	if !ok {
		return harvest{partial: true}
	}
	found := make(map[string]prometheus.Metric)
	for n := range walks {
		if s.walking.Load() >= maxWalks {
			h.err = fmt.Errorf("gather metrics: %d attempts hang in collectors that do not return", maxWalks)
			h.partial = true
			break
		}
		share, cancel := shareOf(ctx, walks-n)
		w := s.setOut(c)
		select {
		case <-w.done:
		case <-share.Done():
		}
		cancel()
		var complete bool
		complete, h.err = w.bring(found) // the last walk speaks for all: they meet the same
		if h.partial = !complete; complete {
			break
		}
	}
	families, err := regroup(found)
	return harvest{families: families, partial: h.partial, err: errors.Join(h.err, err)}
}

// shareOf ends after the nth part of the time that ctx has.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	ends, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(ends)/time.Duration(n))
}
