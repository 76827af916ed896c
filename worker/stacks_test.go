package worker

import (
	"context"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/worker/pool"
)

// The handler's own stack comes first, however many goroutines it has started.
func TestTheHandlersStackComesFirst(t *testing.T) {
	all := []stack{{goroutines: 3}, {goroutines: 9}, {goroutines: 1, handler: true}}
	slices.SortStableFunc(all, stack.compare)
	if !all[0].handler || all[1].goroutines != 9 || all[2].goroutines != 3 {
		t.Errorf("%+v", all)
	}
}

// An answer is never older than its question.
func TestStacksAreOfNow(t *testing.T) {
	var s stacks
	if got := s.of("a"); got != "" {
		t.Errorf("nobody has that label: %s", got)
	}
	inside, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	go pprof.Do(context.Background(), pprof.Labels(pool.Label, "a"), func(context.Context) {
		close(inside)
		<-release
	})
	<-inside
	if got := s.of("a"); !strings.HasPrefix(got, "1 goroutine(s) [") {
		t.Errorf("who came after the first question is not seen: %q", got)
	}
}
