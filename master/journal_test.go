package master

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// stalled is a log whose reader sleeps until it is woken.
type stalled struct {
	awake chan struct{}

	mu   sync.Mutex
	text strings.Builder
}

func (s *stalled) Write(p []byte) (int, error) {
	<-s.awake
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *stalled) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *stalled) logger() hclog.Logger { return hclog.New(&hclog.LoggerOptions{Output: s}) }

func TestALogThatStallsStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stalled{awake: make(chan struct{})}
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, func(m *Master) { m.options.Log = log.logger() })
		<-m.Started()
		for range 3 {
			first := l.latest(1)
			first.kill()
			<-time.After(time.Minute) // of fake time
			if s := m.Snapshot(); s.Ready != 1 || l.latest(1) == first {
				t.Errorf("a worker that died was not replaced: %d ready", s.Ready)
			}
		}
		began := time.Now()
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*lastLines {
			t.Errorf("the stop took %s", took)
		}
		close(log.awake)
		synctest.Wait()
		for _, want := range []string{"worker ready", "worker died", "worker gone"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %q in what was written after all:\n%s", want, log)
			}
		}
	})
}

func TestLinesThatAreLostAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stalled{awake: make(chan struct{})}
		j := newJournal(log.logger())
		j.put(hclog.Info, "the first")
		synctest.Wait() // the writer has it, and stalls
		for i := range journalRoom + 5 {
			j.put(hclog.Info, fmt.Sprintf("line %d.", i))
		}
		close(log.awake)
		synctest.Wait()
		j.put(hclog.Info, "the next")
		j.close()
		text := log.String()
		if n := strings.Count(text, "\n"); n != 1+journalRoom+2 {
			t.Errorf("%d lines were written", n)
		}
		if !strings.Contains(text, "lines=5") || strings.Index(text, "lines=5") > strings.Index(text, "the next") {
			t.Errorf("the loss of 5 lines is not told before the next:\n%s", text[max(0, len(text)-300):])
		}
	})
}

func TestALossIsToldAtTheEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stalled{awake: make(chan struct{})}
		j := newJournal(log.logger())
		for range journalRoom + 10 {
			j.put(hclog.Info, "a line")
		}
		lost := j.lost
		time.AfterFunc(lastLines/2, func() { close(log.awake) })
		j.close()
		if want := fmt.Sprintf("lines=%d", lost); lost == 0 || !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	})
}
