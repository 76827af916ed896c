//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// idleWorkers shows what workers cost that have nothing to do, and how many of them wake up
// for one request.
func idleWorkers(ctx context.Context, l lab) (finding, error) {
	const processes, threads, rest = 8, 2, 10 * time.Second
	p := peer{name: "ostler-idle", front: overUWSGI, commands: ostler("socket", processes, fmt.Sprintf("threads = %d", threads))}
	f, err := newField(ctx, l.built, "idle", l.workers, []peer{p})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	s := f.servers[0]
	pids, err := workersOf(s)
	if err != nil {
		return finding{}, err
	}
	// One request at a time is the hardest case for a crowd of workers: all of them sleep, and
	// every one more than the one that is needed wakes for nothing.
	client := oneByOne()
	defer client.CloseIdleConnections()
	w := hello()

	var g grid
	g.add(fmt.Sprintf("%d workers x %d threads", processes, threads), "CPU ms", "voluntary switches", "switches per request")
	result := finding{}
	for _, part := range []struct {
		what string
		goal bool
		work func() error
	}{
		{fmt.Sprintf("idle for %v", rest), false, func() error { return wait(ctx, rest) }},
		{fmt.Sprintf("%d requests in turn, through nginx", sequential), true, func() error {
			return inTurn(ctx, sequential, func() error { return w.check(client, s.site) })
		}},
		{fmt.Sprintf("%d requests in turn, straight to the uwsgi socket", sequential), true, func() error {
			return inTurn(ctx, sequential, func() error { return askUWSGI(ctx, s.sock[""], w) })
		}},
	} {
		u, err := spent(pids, part.work)
		if err != nil {
			return result, err
		}
		each := ""
		if part.goal {
			each = fmt.Sprintf("%.2f", float64(u.switches)/sequential)
			result.claims = append(result.claims, atMost("voluntary switches of all 8 workers, "+part.what, float64(u.switches), "%.0f", 2500))
		}
		g.add(part.what, fmt.Sprintf("%.1f", micros(u.cpu)/1e3), fmt.Sprint(u.switches), each)
	}
	result.text = "The sum over all workers; the master is not counted. A switch is voluntary when a thread goes to sleep.\n\n" + g.String()
	return result, nil
}

// wait lets time pass, which is what an idle server is measured against.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
