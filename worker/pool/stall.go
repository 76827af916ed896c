package pool

import (
	"net/http"
	"sync"
	"time"
)

// stall limits single reads or writes of one HTTP/2 request by SocketTimeout. Deadlines of
// the connection are no use there: it is shared with other streams, and a client that
// grants no window stalls a stream on a connection that moves. Deadlines of the stream are
// no use either: they strike while the handler computes.
type stall struct {
	cut func() // ends the stream's read or write; called with mu held

	mu    sync.Mutex
	timer *time.Timer
	due   time.Time // zero: nothing is limited at the moment
	over  bool      // nothing is limited any more
}

// limit begins before a read or write, done ends behind it.
func (s *stall) limit(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.due = time.Now().Add(timeout)
	if s.timer == nil {
		s.timer = time.AfterFunc(timeout, s.fire)
	} else {
		s.timer.Reset(timeout)
	}
}

func (s *stall) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// finish is done for good: the application has a limit of its own, or the handler is about
// to return and cut would meet a response that net/http gave to another request. It
// reports whether it is the first.
func (s *stall) finish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.over
	s.over = true
	s.stop()
	return first
}

// stop is called with mu held.
func (s *stall) stop() {
	s.due = time.Time{}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// fire may be late: the timer it comes from may have been stopped, or set again, since.
func (s *stall) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.due.IsZero() && !time.Now().Before(s.due) {
		s.cut()
	}
}

// streams are the limits of an HTTP/2 request.
type streams struct {
	read, write stall
	timeout     time.Duration
}

// newStreams gives nil if the request is of another protocol, or nothing is limited.
func newStreams(w http.ResponseWriter, r *http.Request, c *conn) *streams {
	if r.ProtoMajor != 2 || c == nil || !c.limited() {
		return nil
	}
	rc := http.NewResponseController(w)
	return &streams{
		read:    stall{cut: func() { _ = rc.SetReadDeadline(longAgo) }},
		write:   stall{cut: func() { _ = rc.SetWriteDeadline(longAgo) }},
		timeout: c.pool.opts.SocketTimeout,
	}
}

// written calls write for pieces of b, each of which may take the whole time.
func (s *streams) written(b []byte, write func([]byte) (int, error)) (int, error) {
	total := 0
	for {
		piece := b[total:min(len(b), total+stretch)]
		s.write.limit(s.timeout)
		n, err := write(piece)
		s.write.done()
		if total += n; err != nil || total >= len(b) {
			return total, err
		}
	}
}

// finish leaves net/http the same time to send the rest of the response.
func (s *streams) finish(w http.ResponseWriter) {
	s.read.finish()
	if s.write.finish() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.timeout))
	}
}
