package worker

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/seed17661985/ostler/worker/pool"
)

// shownStacks is how many different stacks of a request are shown.
const shownStacks = 20

// stacks tells where the goroutines of requests stand. A machine in trouble has many requests
// that ask at the same time; they share an answer.
type stacks struct {
	mu    sync.Mutex // held while the profile is taken
	began time.Time
	now   *profile.Profile
}

// of gives the stacks of the goroutines that carry label, those that most of them have
// first. The profile behind it was begun after the call.
func (s *stacks) of(label string) string {
	p, err := s.profile()
	if err != nil {
		return "no stacks: " + err.Error()
	}
	samples := slices.DeleteFunc(slices.Clone(p.Sample), func(one *profile.Sample) bool {
		return !slices.Contains(one.Label[pool.Label], label)
	})
	slices.SortStableFunc(samples, func(a, b *profile.Sample) int { return cmp.Compare(b.Value[0], a.Value[0]) })
	var text strings.Builder
	for n, one := range samples {
		if n == shownStacks {
			fmt.Fprintf(&text, "%d stacks more\n", len(samples)-n)
			break
		}
		writeStack(&text, one)
	}
	return text.String()
}

func (s *stacks) profile() (*profile.Profile, error) {
	asked := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil && s.began.After(asked) {
		return s.now, nil
	}
	s.began = time.Now()
	var buf bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&buf, 0)
	if err == nil {
		s.now, err = profile.ParseData(buf.Bytes())
	}
	return s.now, err
}

// writeStack writes a stack as Go itself does, down to the frames that are ours and stand
// below every handler.
func writeStack(text *strings.Builder, one *profile.Sample) {
	fmt.Fprintf(text, "%d goroutine(s):\n", one.Value[0])
	for _, at := range one.Location {
		for _, l := range at.Line {
			if own(l.Function.Name) {
				return
			}
			fmt.Fprintf(text, "%s\n\t%s:%d\n", l.Function.Name, l.Function.Filename, l.Line)
		}
	}
}
