package server

import (
	"context"

	"github.com/seed17661985/ostler/worker/pool"
)

// Draining gives a channel that is closed when this worker begins to drain: it
// was told to stop, or a reload has put another in its place, which already
// takes new connections. ctx is the context of any request.
//
// It is for handlers that have no end of their own. An upgraded connection (a
// websocket) can say goodbye, and is closed if it is still there after the
// upgrade-mercy of the configuration; an event stream can end, which its client
// takes for a reason to come again. One that stays is told by ErrDraining.
//
//	select {
//	case <-server.Draining(r.Context()):
//		ws.Close(websocket.StatusServiceRestart, "restarting") // 1012: come again
//	case m := <-outbox:
//		...
//	}
//
// The context of an upgraded request lives until its handler returns, or until
// ErrDraining, when the connection is closed already, and does not notice that
// the client has gone; reads do. The channel does not depend on it. Outside of a worker, in a test of the handler for example, the channel is
// nil: never ready.
func Draining(ctx context.Context) <-chan struct{} { return pool.Draining(ctx) }

// ErrDraining is the cause with which the context of a request ends when its
// worker drains and the time for that is almost over. What the handler writes
// from then on still reaches the client; a moment later, at worker-reload-mercy,
// its request is cut. So an event stream that watches its context as usual can
// end in order, and tell a drain from a client that has gone:
//
//	for {
//		select {
//		case e := <-events:
//			fmt.Fprintf(w, "data: %s\n\n", e)
//			flush()
//		case <-r.Context().Done():
//			if errors.Is(context.Cause(r.Context()), server.ErrDraining) {
//				fmt.Fprint(w, "event: restart\ndata:\n\n")
//			}
//			return
//		}
//	}
//
// The moment is two seconds, and a fifth of worker-reload-mercy if that is under
// ten seconds. Who does not want to use up the mercy listens to Draining, which
// comes at its beginning. Requests that have not begun by then are answered 503.
var ErrDraining = pool.ErrDraining
