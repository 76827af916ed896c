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

// of gives the stacks of the goroutines that carry label: the handler's first, then those
// that most of them have. The profile behind it was begun after the call.
func (s *stacks) of(label string) string {
	p, err := s.profile()
	if err != nil {
		return "no stacks: " + err.Error()
	}
	var all []stack
	for _, one := range p.Sample {
		if slices.Contains(one.Label[pool.Label], label) {
			all = append(all, stackOf(one))
		}
	}
	slices.SortStableFunc(all, stack.compare)
	var text strings.Builder
	for n, one := range all {
		if n == shownStacks {
			fmt.Fprintf(&text, "%d stacks more\n", len(all)-n)
			break
		}
		one.write(&text)
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

// stack is where some goroutines stand.
type stack struct {
	goroutines int64
	handler    bool           // the one that the server called the handler on
	waits      string         // the runtime's function in which they wait, or ""
	frames     []profile.Line // the innermost first, without the runtime's and ours
}

// stackOf leaves out the frames that are ours, which stand below every handler.
func stackOf(one *profile.Sample) stack {
	s := stack{goroutines: one.Value[0]}
	for _, at := range one.Location {
		for _, l := range at.Line {
			switch name := l.Function.Name; {
			case own(name):
				s.handler = true
				return s
			case len(s.frames) == 0 && strings.HasPrefix(name, "runtime."):
				s.waits = name
			default:
				s.frames = append(s.frames, l)
			}
		}
	}
	return s
}

func (s stack) compare(than stack) int {
	if s.handler != than.handler {
		if s.handler {
			return -1
		}
		return 1
	}
	return cmp.Compare(than.goroutines, s.goroutines)
}

// write writes it as Go itself does.
func (s stack) write(text *strings.Builder) {
	fmt.Fprintf(text, "%d goroutine(s) [%s]:\n", s.goroutines, cmp.Or(s.waits, "running"))
	for _, l := range s.frames {
		fmt.Fprintf(text, "%s\n\t%s:%d\n", l.Function.Name, l.Function.Filename, l.Line)
	}
}
