package server

import (
	"context"
	"time"

	"github.com/seed17661985/ostler/worker/pool"
)

// ErrHarakiri is the cause with which the context of a request ends that has run for as long
// as harakiri allows (context.Cause). If nothing was written by then, the client is answered
// 504 in the handler's place, and what the handler writes after that is refused by
// http.ErrHandlerTimeout.
var ErrHarakiri = pool.ErrHarakiri

// ExtendDeadline gives the request behind ctx until d from now, if that is longer than it
// has: for the few that may take long, an export or an upload. ctx is the request's context
// or comes from it. Where harakiri is off there is nothing to extend, and that is no error.
// It returns ErrHarakiri if the time is over already; nothing brings it back.
//
// It takes the place of uwsgi.set_user_harakiri.
func ExtendDeadline(ctx context.Context, d time.Duration) error { return pool.Extend(ctx, d) }
