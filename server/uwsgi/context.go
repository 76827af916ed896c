package uwsgi

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// requestContext is the context of one request. It starts to watch for the peer's end,
// and has a channel to close, only when somebody looks: most handlers never do.
type requestContext struct {
	base  context.Context // the connection's
	watch *watcher
	local net.Addr
	madeRequest

	mu     sync.Mutex
	inner  context.Context // nil until somebody looks
	cancel context.CancelCauseFunc
	cause  error // of the end; nil before it
}

// Deadline is the connection's.
func (rc *requestContext) Deadline() (time.Time, bool) { return rc.base.Deadline() }

// Done also serves contexts derived from this one: the context package calls it once
// for each, and finds the inner context behind it by its channel.
func (rc *requestContext) Done() <-chan struct{} { return rc.look().Done() }

func (rc *requestContext) Err() error { return rc.look().Err() }

// look arms the watch.
func (rc *requestContext) look() context.Context {
	rc.mu.Lock()
	if rc.inner == nil {
		rc.inner, rc.cancel = context.WithCancelCause(rc.base)
		if rc.cause != nil {
			rc.cancel(rc.cause)
		}
	}
	inner := rc.inner
	rc.mu.Unlock()
	rc.watch.look()
	return inner
}

// end is final; the first cause counts.
func (rc *requestContext) end(cause error) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.cause != nil {
		return
	}
	rc.cause = cause
	if rc.cancel != nil {
		rc.cancel(cause)
	}
}

// Value finds the cause of the end, too, which the context package looks up by a key of
// its own.
func (rc *requestContext) Value(key any) any {
	switch key {
	case requestInfoKey{}:
		return &rc.requestInfo
	case http.LocalAddrContextKey:
		return rc.local
	}
	rc.mu.Lock()
	inner := rc.inner
	rc.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return rc.base.Value(key)
}
