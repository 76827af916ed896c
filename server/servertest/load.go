package servertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load is a number of clients that send requests one after the other until they
// are told to stop. A client never sends a request twice: what is lost counts
// as lost.
type Load struct {
	t    testing.TB
	stop context.CancelFunc
	wg   sync.WaitGroup

	done atomic.Int64 // answered as they should

	mu     sync.Mutex
	failed []error
}

// think is the least time between two requests of a client. Clients that never pause leave no
// processor to other tests, and find nothing more.
const think = 20 * time.Millisecond

// Run starts n clients; each calls request until Stop.
func Run(t testing.TB, n int, request func() error) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{t: t, stop: cancel}
	t.Cleanup(func() { l.Stop() })
	for range n {
		l.wg.Go(func() {
			pause := time.NewTicker(think)
			defer pause.Stop()
			for ctx.Err() == nil {
				l.note(request())
				<-pause.C
			}
		})
	}
	return l
}

func (l *Load) note(err error) {
	if err == nil {
		l.done.Add(1)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, err)
}

// Done is how many requests were answered so far.
func (l *Load) Done() int64 { return l.done.Load() }

// Stop ends the clients after their present request and returns every failure.
func (l *Load) Stop() []error {
	l.stop()
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// MustLoseNothing is Stop for tests in which every request has to be answered.
func (l *Load) MustLoseNothing() {
	l.t.Helper()
	failed := l.Stop()
	for _, err := range failed[:min(len(failed), 5)] {
		l.t.Errorf("lost: %v", err)
	}
	if len(failed) > 0 {
		l.t.Errorf("%d of %d requests were lost", len(failed), int64(len(failed))+l.Done())
	}
}

// Echo is a request for Run: a POST of 16 KiB of noise that must come back as
// it was. The body cannot be read twice, so no transport can retry it.
func Echo(rt http.RoundTripper, url string) func() error {
	return func() error {
		body := make([]byte, 16<<10)
		_, _ = rand.Read(body) // never fails
		req, err := http.NewRequest(http.MethodPost, url, io.NopCloser(bytes.NewReader(body)))
		if err != nil {
			return err
		}
		req.ContentLength = int64(len(body))
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return fmt.Errorf("read answer: %w", err)
		case resp.StatusCode != http.StatusOK:
			return fmt.Errorf("answer %s: %.200s", resp.Status, got)
		case !bytes.Equal(got, body):
			return fmt.Errorf("sent %d bytes, got %d other ones back", len(body), len(got))
		}
		return nil
	}
}
