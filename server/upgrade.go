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
// upgrade-mercy of the configuration; an event stream can end, and would
// otherwise be cut at worker-reload-mercy:
//
//	select {
//	case <-server.Draining(r.Context()):
//		ws.Close(websocket.StatusServiceRestart, "restarting") // 1012: come again
//	case m := <-outbox:
//		...
//	}
//
// The context of an upgraded request lives until its handler returns and does
// not notice that the client has gone; reads do. The channel does not depend on
// it. Outside of a worker, in a test of the handler for example, the channel is
// nil: never ready.
func Draining(ctx context.Context) <-chan struct{} { return pool.Draining(ctx) }
