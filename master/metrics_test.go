package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/worker/control"
)

// memory is a store that remembers what it was told.
type memory struct {
	mu      sync.Mutex
	said    map[int]string // by worker: the last answer
	puts    int
	retired []uint64
	refuse  error
}

func newMemory() *memory { return &memory{said: map[int]string{}} }

func (m *memory) Put(process uint64, worker, generation int, answer []byte, partial bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	m.said[worker] = fmt.Sprint(string(answer), " of generation ", generation, " partial ", partial)
	return m.refuse
}

func (m *memory) Retire(process uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retired = append(m.retired, process)
}

func (m *memory) of(worker int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said[worker]
}

func (m *memory) counts() (puts, retired int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts, len(m.retired)
}

// telling is a good process that answers each question as it is told to.
func telling(answer func(*fakeProcess, control.Gather)) func(*fakeProcess) Exit {
	return func(p *fakeProcess) Exit {
		if p.boot() != nil || p.conn.Send(control.Ready{}) != nil {
			return Exit{Code: 1}
		}
		for {
			m, err := p.conn.Recv()
			switch m := m.(type) {
			case control.Gather:
				answer(p, m)
			case control.Drain:
				_ = p.conn.Send(control.Metrics{Data: []byte("last words")})
				return Exit{}
			}
			if err == io.EOF {
				return Exit{}
			} else if err != nil {
				return Exit{Code: 1}
			}
		}
	}
}

// honest answers at once.
func honest(p *fakeProcess, g control.Gather) {
	data := []byte(fmt.Sprint("answer of ", p.spec.Slot))
	_ = p.conn.Send(control.Metrics{ID: g.ID, Data: data, Partial: p.spec.Slot == 2})
}

// supervised runs a master with workers that live so, once all are ready.
func supervised(t *testing.T, workers int, live func(*fakeProcess) Exit) (*Master, *memory, *fakeLauncher, func()) {
	t.Helper()
	store, l := newMemory(), &fakeLauncher{live: live}
	m := New(Options{
		Load:    func(context.Context) (Plan, Launcher, error) { return Plan{Workers: workers, Threads: 1}, l, nil },
		Log:     hclog.NewNullLogger(),
		Metrics: store,
	})
	ended := make(chan error, 1)
	go func() { ended <- m.Run(context.Background()) }()
	<-m.Started()
	return m, store, l, func() {
		t.Helper()
		m.Stop(false)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestAScrapeHearsAllWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, store, _, stop := supervised(t, 2, telling(honest))
		m.GatherMetrics(t.Context())
		if store.of(1) != "answer of 1 of generation 1 partial false" || store.of(2) != "answer of 2 of generation 1 partial true" {
			t.Errorf("%q, %q", store.of(1), store.of(2))
		}
		stop()
		m.GatherMetrics(t.Context()) // nobody is left; it must not wait
		if store.of(1) != "last words of generation 1 partial false" {
			t.Errorf("a worker that drains: %q", store.of(1))
		}
		if _, retired := store.counts(); retired != 2 {
			t.Errorf("%d processes retired, want 2", retired)
		}
	})
}

func TestScrapesAtTheSameTimeShareTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m, store, _, stop := supervised(t, 2, telling(func(p *fakeProcess, g control.Gather) {
			<-gate
			honest(p, g)
		}))
		var scrapes sync.WaitGroup
		for range 20 {
			scrapes.Go(func() { m.GatherMetrics(t.Context()) })
		}
		synctest.Wait()
		close(gate)
		scrapes.Wait()
		if puts, _ := store.counts(); puts != 2 {
			t.Errorf("%d answers, want one of each worker", puts)
		}
		stop()
	})
}

// What a kill can take is what was counted since the last answer, so there are answers
// without anybody asking.
func TestWorkersAreAskedEveryNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, l, stop := supervised(t, 2, telling(honest))
		time.Sleep(gatherEvery + time.Second)
		synctest.Wait()
		if puts, _ := store.counts(); puts != 2 {
			t.Errorf("%d answers after %v, want 2", puts, gatherEvery)
		}
		l.latest(1).kill()
		synctest.Wait()
		if _, retired := store.counts(); retired != 1 || store.of(1) != "answer of 1 of generation 1 partial false" {
			t.Errorf("%d retired, the last answer was %q", retired, store.of(1))
		}
		stop()
	})
}

// A worker that is stuck costs one scrape the time, and only that: who owes an answer is
// not waited for again. It is not written without end either, and its late answer counts.
func TestAStuckWorkerHoldsOneScrapeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m, store, _, stop := supervised(t, 2, telling(func(p *fakeProcess, g control.Gather) {
			if p.spec.Slot == 1 {
				<-release
			}
			honest(p, g)
		}))
		began := time.Now()
		m.GatherMetrics(t.Context())
		if took := time.Since(began); took != gatherLimit || store.of(2) == "" {
			t.Errorf("the first scrape took %v, the other worker said %q", took, store.of(2))
		}
		began = time.Now()
		for range 10 {
			m.GatherMetrics(t.Context())
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the next ten took %v", took)
		}
		if n := m.metrics.known[1].unanswered; n != maxUnanswered {
			t.Errorf("%d questions wait for it, want %d", n, maxUnanswered)
		}
		close(release)
		synctest.Wait()
		if store.of(1) == "" {
			t.Error("its late answer is lost")
		}
		began = time.Now()
		m.GatherMetrics(t.Context())
		if n := m.metrics.known[1].unanswered; n != 0 || time.Since(began) != 0 {
			t.Errorf("%d questions wait for it again, after %v", n, time.Since(began))
		}
		stop()
	})
}

// A scrape that gives up does not stop the question: others may wait for it.
func TestAScrapeMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, _, stop := supervised(t, 1, telling(func(*fakeProcess, control.Gather) {}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		m.GatherMetrics(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		stop()
	})
}

func TestAWorkerThatDiesIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, _, stop := supervised(t, 2, telling(func(p *fakeProcess, g control.Gather) {
			if p.spec.Slot == 1 {
				p.kill()
				return
			}
			honest(p, g)
		}))
		began := time.Now()
		m.GatherMetrics(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		stop()
	})
}

// Nobody can make the master work by talking: what it did not ask for is read and dropped.
func TestAnswersNobodyAskedForAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, store, _, stop := supervised(t, 1, telling(func(p *fakeProcess, g control.Gather) {
			for range 50 {
				_ = p.conn.Send(control.Metrics{ID: g.ID, Data: []byte("again")})
				_ = p.conn.Send(control.Metrics{ID: g.ID + 5, Data: []byte("from the future")})
				_ = p.conn.Send(control.Metrics{ID: 0, Data: []byte("last words")})
			}
		}))
		m.GatherMetrics(t.Context())
		synctest.Wait()
		if puts, _ := store.counts(); puts != 2 {
			t.Errorf("%d answers are stored, want the one that was asked for and the last", puts)
		}
		stop()
	})
}

// What is too long or makes no sense is a line in the log, and the worker serves on.
func TestAnAnswerThatMakesNoSenseCostsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := control.Metrics{Data: make([]byte, control.MaxFrame-9), More: true}
		m, store, l, stop := supervised(t, 1, telling(func(p *fakeProcess, g control.Gather) {
			if big.ID = g.ID; g.ID == 1 {
				for range control.MaxMetrics/control.MaxFrame + 2 {
					_ = p.conn.Send(big)
				}
				return
			}
			honest(p, g)
		}))
		store.refuse = errors.New("not protobuf")
		m.GatherMetrics(t.Context())
		m.GatherMetrics(t.Context())
		synctest.Wait()
		if puts, _ := store.counts(); puts != 1 || len(l.procs) != 1 || m.Snapshot().Ready != 1 {
			t.Errorf("%d answers stored, %d processes launched", puts, len(l.procs))
		}
		stop()
	})
}

func TestAMasterWithoutAStoreAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: telling(func(*fakeProcess, control.Gather) { t.Error("it was asked") })}
		ctx, cancel := context.WithCancel(t.Context())
		m, wait := run(ctx, t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		m.GatherMetrics(t.Context())
		time.Sleep(10 * gatherEvery)
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
}
