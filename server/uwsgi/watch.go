package uwsgi

import (
	"net"
	"sync"
	"time"
)

// watcher ends a request's context when the peer goes away. It only ever waits for the
// socket to become readable and peeks, so it takes no byte from anybody.
//
// It runs when three things are true: somebody looked at the context, the whole body
// has left the socket (before that, readable means more body), and the handler still
// owns the connection.
type watcher struct {
	rwc net.Conn
	ctx *requestContext

	mu      sync.Mutex
	looked  bool
	drained bool
	stopped bool
	ended   chan struct{} // closed by the goroutine at its end; nil before it starts
}

// look is called whenever a handler asks its context for anything.
func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.looked {
		w.looked = true
		w.startLocked()
	}
}

// bodyDrained says that nothing of the request is left in the socket.
func (w *watcher) bodyDrained() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drained = true
	w.startLocked()
}

func (w *watcher) startLocked() {
	if !w.looked || !w.drained || w.stopped || w.ended != nil {
		return
	}
	// A deadline left by the last read of the body is not about this wait.
	w.rwc.SetReadDeadline(time.Time{})
	ended := make(chan struct{})
	w.ended = ended
	go func() {
		defer close(ended)
		if waitGone(w.rwc) {
			w.ctx.end(errClientGone)
		}
	}()
}

// watching reports whether the read deadline of the connection belongs to the watcher.
func (w *watcher) watching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended != nil && !w.stopped
}

// stop returns when nobody waits on the socket any more. It is final.
func (w *watcher) stop() {
	w.mu.Lock()
	w.stopped = true
	ended := w.ended
	w.mu.Unlock()
	if ended == nil {
		return
	}
	w.rwc.SetReadDeadline(past())
	<-ended
	w.rwc.SetReadDeadline(time.Time{})
}

// past is a deadline that has expired already.
func past() time.Time { return time.Unix(1, 0) }
