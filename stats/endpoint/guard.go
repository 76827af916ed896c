package endpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// appTimeout is the longest a scrape waits for the application's metrics. Whoever gathers
// them has limits of its own; this one holds if they do not.
const appTimeout = 5 * time.Second

// guarded makes gather something that always answers. What goes wrong in it costs its
// metrics, or some of them, and is counted; the scrape goes on without. Of the names that
// begin as ours only those of the gatherer itself are let through: others would be mixed
// with ours.
func guarded[F interface{ GetName() string }](gather func() ([]F, error), failures *atomic.Uint64) func() ([]F, error) {
	busy := make(chan struct{}, 1)
	return func() ([]F, error) {
		all, err := bounded(gather, busy)
		had := len(all)
		all = slices.DeleteFunc(all, func(f F) bool {
			return strings.HasPrefix(f.GetName(), ours) && !strings.HasPrefix(f.GetName(), theirs)
		})
		if err != nil || len(all) < had {
			failures.Add(1)
		}
		return all, nil
	}
}

// bounded calls gather, unless a call that was given up on still runs: of those there is
// never more than one.
func bounded[F any](gather func() ([]F, error), busy chan struct{}) ([]F, error) {
	select {
	case busy <- struct{}{}:
	default:
		return nil, errors.New("the gathering before this one has not ended")
	}
	type result struct {
		all []F
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if v := recover(); v != nil {
				r = result{err: fmt.Errorf("panic: %v", v)}
			}
			<-busy
			done <- r
		}()
		r.all, r.err = gather()
	}()
	timer := time.NewTimer(appTimeout)
	defer timer.Stop()
	select {
	case r := <-done:
		return slices.Clone(r.all), r.err
	case <-timer.C:
		return nil, fmt.Errorf("not gathered within %v", appTimeout)
	}
}
