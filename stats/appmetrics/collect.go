package appmetrics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Source is a registry of an application, and what it says about its gauges.
type Source struct {
	Gatherer prometheus.Gatherer
	Rules    Rules
}

// Collector gathers from the registries of one process.
type Collector struct {
	sources []*source     // fixed
	turn    chan struct{} // holds one; who takes it may gather
}

// NewCollector takes each registry once, however many sources name it.
func NewCollector(sources ...Source) *Collector {
	c := &Collector{turn: make(chan struct{}, 1)}
	for _, s := range sources {
		c.add(s)
	}
	return c
}

func (c *Collector) add(s Source) {
	if list, ok := s.Gatherer.(prometheus.Gatherers); ok { // each for itself: one that is slow is not all
		for _, g := range list {
			c.add(Source{Gatherer: g, Rules: s.Rules})
		}
		return
	}
	if s.Gatherer == nil {
		return
	}
	n := slices.IndexFunc(c.sources, func(t *source) bool { return same(t.gatherer, s.Gatherer) })
	if n < 0 {
		n = len(c.sources)
		c.sources = append(c.sources, &source{gatherer: s.Gatherer})
	}
	c.sources[n].rules = append(c.sources[n].rules, s.Rules)
}

// same is ==, which panics for the types that have none, such as a func.
func same(a, b prometheus.Gatherer) bool {
	return reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// harvest is what one source gave.
type harvest struct {
	families []*dto.MetricFamily
	partial  bool  // more may come another time
	err      error // what went wrong, whether or not there are families
}

// gather asks all sources side by side and waits until ctx ends at the longest.
func (c *Collector) gather(ctx context.Context) ([]harvest, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("gather metrics: an earlier gather still runs: %w", ctx.Err())
	}
	all := make([]harvest, len(c.sources))
	done := make(chan struct{})
	for n, s := range c.sources {
		go func() {
			all[n] = s.gather(ctx)
			done <- struct{}{}
		}()
	}
	for range c.sources {
		<-done // each comes back when ctx ends
	}
	return all, nil
}

// Gather is for a process that is its own master: the families as they are, sorted by
// name, without those that carry a name of the server's.
func (c *Collector) Gather(ctx context.Context) ([]*dto.MetricFamily, error) {
	all, err := c.gather(ctx)
	errs := []error{err}
	var lists prometheus.Gatherers
	for _, h := range all {
		errs = append(errs, h.err)
		lists = append(lists, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return h.families, nil }))
	}
	families, err := lists.Gather() // sorts, and refuses what would be there twice
	families = slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return reserved(f.GetName()) })
	return families, errors.Join(append(errs, err)...)
}

// Dump is for the way to the master: what Gather gives, in at most limit bytes. Data is
// worth sending even if there is an error.
func (c *Collector) Dump(ctx context.Context, limit int) (data []byte, partial bool, err error) {
	all, err := c.gather(ctx)
	errs := []error{err}
	partial = err != nil
	for n, h := range all {
		errs = append(errs, h.err)
		partial = partial || h.partial
		for _, f := range h.families {
			next, err := appendFamily(data, f, c.sources[n].merge(f))
			if err == nil && len(next) > limit {
				err = fmt.Errorf("metric %q: left out, all together have more than %d bytes", f.GetName(), limit)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			data = next
		}
	}
	return data, partial, errors.Join(errs...)
}
