//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// reloadLoad is how long a load lasts: two reloads have to fit into it, also in a slow hour.
const reloadLoad = 15 * time.Second

// reloadUnderLoad shows what clients notice of a reload: nothing but a longer wait for some.
func reloadUnderLoad(ctx context.Context, l lab) (finding, error) {
	f, err := newField(ctx, l.built, "reload", l.workers, []peer{
		{name: ostlerUWSGI, front: overUWSGI, commands: ostler("socket", equal)},
		{name: ostlerDirect, front: direct, commands: ostler("http-socket", equal)},
	})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	var g grid
	g.add("server", "", "requests/s", "p50 µs", "p99 µs", "errors")
	result := finding{}
	// Through nginx a connection that a worker dropped would be a 502, and directly a read error:
	// both ways, because the drain of uwsgi and of keep-alive http have little in common.
	for _, s := range f.servers {
		quiet, err := f.underLoad(ctx, s, func() error { return nil })
		if err != nil {
			return result, err
		}
		var took time.Duration
		busy, err := f.underLoad(ctx, s, func() error { return twice(ctx, s, &took) })
		if err != nil {
			return result, err
		}
		for _, row := range []struct {
			what string
			load
		}{{"", quiet}, {fmt.Sprintf("with two reloads, %.2f s together", took.Seconds()), busy}} {
			g.add(s.name, row.what, fmt.Sprintf("%.0f", row.perSecond()), fmt.Sprint(row.P50), fmt.Sprint(row.P99), fmt.Sprint(row.errors()))
		}
		result.claims = append(result.claims, atMost("errors during two reloads, "+s.name, float64(busy.errors()), "%.0f", 0))
	}
	result.text = "hello at 32 connections for " + reloadLoad.String() + ", without and with two `reload` commands. " +
		"Errors are refused, cut or timed-out connections and answers of 400 and above.\n\n" + g.String()
	return result, nil
}

// underLoad runs wrk and, meanwhile, work.
func (f *field) underLoad(ctx context.Context, s *server, work func() error) (load, error) {
	type result struct {
		load
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := f.wrk(ctx, s.site, hello(), 32, reloadLoad)
		done <- result{got, err}
	}()
	workErr := wait(ctx, time.Second)
	if workErr == nil {
		workErr = work()
	}
	// Errors are only counted while wrk runs: work that outlasted it was not tested.
	late := len(done) > 0
	got := <-done
	if late && workErr == nil && got.err == nil {
		workErr = fmt.Errorf("the load on %s was over before the work beside it", s.name)
	}
	if workErr != nil {
		return got.load, workErr
	}
	return got.load, got.err
}

// twice reloads the server two times; the command returns when the new workers serve and
// the old ones are told to go.
func twice(ctx context.Context, s *server, took *time.Duration) error {
	for range 2 {
		began := time.Now()
		if _, err := run(ctx, "", s.place.bin("benchapp"), "reload", "--config", s.place.config()); err != nil {
			return err
		}
		*took += time.Since(began)
		if err := wait(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
