//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// sample is one measurement of one server, per request where that makes sense.
type sample struct {
	perSecond      float64
	p50, p99       float64 // microseconds
	backend, nginx float64 // CPU microseconds per request
	switches       float64 // voluntary context switches of the backend per request
	pss, rss       float64 // MiB of the backend, after the load
	requests       uint64
}

// contest is one table: a workload at a number of connections.
type contest struct {
	workload
	conns int
	d     time.Duration // of each measurement
}

func (c contest) String() string { return c.name + ", " + plural(c.conns, "connection") }

// outcome has the samples of each server by its name, one for each round.
type outcome struct {
	contest
	samples map[string][]sample
}

// compete runs the rounds of a contest. Invariant: within a round every server is measured
// once, right after another, so that what the machine does meanwhile hits all alike; each
// round begins with another server, so that none always follows the same one.
func (f *field) compete(ctx context.Context, c contest, rounds int) (outcome, error) {
	o := outcome{c, map[string][]sample{}}
	servers := slices.DeleteFunc(slices.Clone(f.servers), func(s *server) bool { return !s.serves(c.workload) })
	for round := range rounds {
		for i := range servers {
			s := servers[(i+round)%len(servers)]
			got, err := f.measure(ctx, s, c)
			if err != nil {
				return o, fmt.Errorf("%s: %s: %w", s.name, c, errors.Join(err, s.tree(c.workload).ended(), f.nginxEnded()))
			}
			o.samples[s.name] = append(o.samples[s.name], got)
		}
		progress("%s: round %d of %d", c, round+1, rounds)
	}
	return o, nil
}

func (f *field) measure(ctx context.Context, s *server, c contest) (sample, error) {
	root := s.tree(c.workload).cmd.Process.Pid
	backend, err := tree(root)
	if err != nil {
		return sample{}, err
	}
	var front []int
	if s.front != direct {
		if front, err = tree(f.nginx.cmd.Process.Pid); err != nil {
			return sample{}, err
		}
	}
	var l load
	spent, nginx, err := spentBy(backend, front, func() error {
		l, err = f.wrk(ctx, s.site, c.workload, c.conns, c.d)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	if err := l.failures(c.size); err != nil {
		return sample{}, err
	}
	// A worker that was replaced took its usage with it, and a server that loses workers under
	// load has no business in a table.
	if now, err := tree(root); err != nil || !slices.Equal(now, backend) {
		return sample{}, fmt.Errorf("its processes were %v and are %v now (%v): a worker died or was replaced under load", backend, now, err)
	}
	mem, err := resident(backend)
	if err != nil {
		return sample{}, err
	}
	// wrk does not count the requests that are under way when it stops, at most one for each
	// connection. That is too little to matter: a measurement has thousands of each.
	n := float64(l.Requests)
	return sample{
		perSecond: l.perSecond(), p50: float64(l.P50), p99: float64(l.P99), requests: l.Requests,
		backend: micros(spent.cpu) / n, nginx: micros(nginx.cpu) / n, switches: float64(spent.switches) / n,
		pss: float64(mem.pss) / (1 << 20), rss: float64(mem.rss) / (1 << 20),
	}, nil
}

// spentBy is what two groups of processes used while work was done.
func spentBy(backend, nginx []int, work func() error) (usage, usage, error) {
	var before, after [2]usage
	read := func(into *[2]usage) (err error) {
		if into[0], err = used(backend); err == nil {
			into[1], err = used(nginx)
		}
		return err
	}
	if err := read(&before); err != nil {
		return usage{}, usage{}, err
	}
	if err := work(); err != nil {
		return usage{}, usage{}, err
	}
	if err := read(&after); err != nil {
		return usage{}, usage{}, err
	}
	return after[0].since(before[0]), after[1].since(before[1]), nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// median of one figure over the rounds.
func median(samples []sample, figure func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
