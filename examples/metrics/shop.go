package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// shop sells what is in its catalog.
type shop struct {
	*http.ServeMux
	meters  *meters
	catalog map[string]string // item → name
}

func newShop(m *meters) *shop {
	s := &shop{ServeMux: http.NewServeMux(), meters: m, catalog: map[string]string{
		"1": "Horse blanket", "2": "Curry comb", "3": "Bucket of oats",
	}}
	m.items.Set(float64(len(s.catalog)))
	m.info.WithLabelValues("autumn").Set(1)
	s.page("GET /{$}", "front", s.front)
	s.page("GET /item/{id}", "item", s.item)
	s.page("POST /order/{id}", "order", s.order)
	s.page("/", "other", http.NotFound)
	return s
}

// page serves a pattern and counts it. The label is a name of ours and never the path: each
// value is a series that is kept for good, and visitors make up paths.
func (s *shop) page(pattern, name string, h http.HandlerFunc) {
	asked := s.meters.pages.WithLabelValues(name) // there from the start with 0, so that increase() sees the first
	s.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		asked.Inc()
		h(w, r)
	})
}

func (s *shop) front(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "%d items. See /item/1, order by POST to /order/1.\n", len(s.catalog))
}

func (s *shop) item(w http.ResponseWriter, r *http.Request) {
	name, ok := s.catalog[r.PathValue("id")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, name)
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	name, ok := s.catalog[r.PathValue("id")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.meters.inProgress.Inc()
	defer s.meters.inProgress.Dec() // also when pay panics: a gauge that leaks never comes back
	if err := s.pay(r.Context()); err != nil {
		http.Error(w, "The order was given up.", http.StatusServiceUnavailable)
		return
	}
	s.meters.lastOrder.SetToCurrentTime()
	fmt.Fprintf(w, "Thank you for buying: %s\n", name)
}

// pay stands for a bank that takes its time.
func (s *shop) pay(ctx context.Context) error {
	began := time.Now()
	defer func() { s.meters.payment.Observe(time.Since(began).Seconds()) }()
	select {
	case <-time.After(time.Millisecond + rand.N(30*time.Millisecond)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pay: %w", ctx.Err())
	}
}
