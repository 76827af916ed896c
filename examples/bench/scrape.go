//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// scrapeRounds is how often each way is measured, by turns.
const scrapeRounds = 7

// scraping shows what the hot path pays for being watched: its numbers are in memory that the
// master reads, so it should be nothing that can be told from noise.
func scraping(ctx context.Context, l lab) (finding, error) {
	p := peer{name: ostlerUWSGI, front: overUWSGI, commands: ostler("socket", equal, `stats = "stats.sock"`)}
	f, err := newField(ctx, l.built, "scraped", l.workers, []peer{p})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	s := f.servers[0]
	pids, err := workersOf(s)
	if err != nil {
		return finding{}, err
	}
	var alone, watched []sample
	for range scrapeRounds {
		for _, way := range []struct {
			into      *[]sample
			meanwhile func(context.Context) error
		}{{&alone, nil}, {&watched, s.scrapeEverySecond}} {
			got, err := f.besides(ctx, s, pids, way.meanwhile)
			if err != nil {
				return finding{}, err
			}
			*way.into = append(*way.into, got)
		}
	}
	var g grid
	g.add("hello, 32 connections", "requests/s", "CPU µs of the workers per request")
	a, w := median(alone, backendCPU), median(watched, backendCPU)
	g.add("not scraped", fmt.Sprintf("%.0f", median(alone, rate)), fmt.Sprintf("%.2f", a))
	g.add("`/metrics` every second", fmt.Sprintf("%.0f", median(watched, rate)), fmt.Sprintf("%.2f", w))
	return finding{
		text: fmt.Sprintf("Medians of %d rounds of 3 s each, by turns.\n\n%s", scrapeRounds, g.String()),
		// What a scrape costs is the master's. A twentieth is what two medians of the same thing differ by here.
		claims: []claim{atMost("CPU of the workers per request, scraped every second ÷ not scraped", w/a, "%.2f", 1.05)},
	}, nil
}

// besides measures the workers under load, and what goes on meanwhile.
func (f *field) besides(ctx context.Context, s *server, workers []int, meanwhile func(context.Context) error) (sample, error) {
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		if meanwhile == nil {
			ended <- nil
			return
		}
		ended <- meanwhile(ctx)
	}()
	var got load
	u, err := spent(workers, func() (err error) {
		got, err = f.wrk(ctx, s.site, hello(), 32, 3*time.Second)
		return err
	})
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return sample{}, err
	}
	return sample{perSecond: got.perSecond(), backend: micros(u.cpu) / float64(got.Requests)}, nil
}

// scrapeEverySecond is a Prometheus, until ctx ends.
func (s *server) scrapeEverySecond(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.place.dir, "stats.sock"))
	}}}
	defer client.CloseIdleConnections()
	for {
		resp, err := client.Get("http://stats/metrics")
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || n == 0 {
			return fmt.Errorf("scrape: %s, %d bytes, %w", resp.Status, n, err)
		}
		if wait(ctx, time.Second) != nil {
			return nil
		}
	}
}
