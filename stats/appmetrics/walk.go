package appmetrics

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// walk is one collecting of everything, metric by metric.
type walk struct {
	done chan struct{} // closed when all is there

	mu    sync.Mutex
	found []written
	cut   bool // by a panic; what would have come after it is missing
	errs  []error
}

// written is a metric that said what it has to say, and says it again.
type written struct {
	desc *prometheus.Desc
	says *dto.Metric
}

func (w written) Desc() *prometheus.Desc { return w.desc }

func (w written) Write(out *dto.Metric) error {
	out.Label, out.TimestampMs = w.says.Label, w.says.TimestampMs
	out.Gauge, out.Counter, out.Summary = w.says.Gauge, w.says.Counter, w.says.Summary
	out.Untyped, out.Histogram = w.says.Untyped, w.says.Histogram
	return nil
}

// setOut begins a walk. It takes two goroutines: the collectors send, and each metric may
// run code of the application when it is asked for its value.
func (s *source) setOut(c prometheus.Collector) *walk {
	w := &walk{done: make(chan struct{})}
	s.walking.Add(1)
	metrics := make(chan prometheus.Metric)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		defer func() {
			if v := recover(); v != nil {
				w.failed(fmt.Errorf("collect metrics: panic: %v", v))
				w.mu.Lock()
				defer w.mu.Unlock()
				w.cut = true
			}
		}()
		c.Collect(metrics)
	}()
	go func() {
		defer s.walking.Add(-1)
		defer close(w.done)
		for {
			select {
			case m := <-metrics:
				w.write(m)
			case <-returned:
				return // the channel has no room, so nothing is in it
			}
		}
	}()
	return w
}

func (w *walk) write(m prometheus.Metric) {
	defer func() {
		if v := recover(); v != nil {
			w.failed(fmt.Errorf("collect metrics: panic of a metric: %v", v))
		}
	}()
	says := &dto.Metric{}
	if err := m.Write(says); err != nil {
		w.failed(fmt.Errorf("collect metrics: %w", err))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, written{m.Desc(), says})
}

func (w *walk) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// bring adds what was found so far, and says whether that is all and what went wrong.
func (w *walk) bring(found map[string]prometheus.Metric) (complete bool, err error) {
	select {
	case <-w.done:
		complete = true
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.found {
		found[m.desc.String()+fmt.Sprint(m.says.Label)] = m
	}
	return complete && !w.cut, errors.Join(w.errs...)
}

// regroup lets a registry make families of loose metrics.
func regroup(found map[string]prometheus.Metric) ([]*dto.MetricFamily, error) {
	r := prometheus.NewRegistry()
	if err := r.Register(loose(found)); err != nil {
		return nil, err
	}
	return r.Gather()
}

// loose is a collector that announces nothing and so may bring anything.
type loose map[string]prometheus.Metric

func (loose) Describe(chan<- *prometheus.Desc) {}

func (l loose) Collect(ch chan<- prometheus.Metric) {
	for _, m := range l {
		ch <- m
	}
}
