package pool

import (
	"net/http"

	"github.com/seed17661985/ostler/stats/scoreboard"
)

// Charge says which app, by its number on the page, the request behind w is for. It is
// counted there when it ends, its panic too. w is what Handler gave to the application, or
// wraps it in the way of http.ResponseController. A request that nobody is charged with
// counts as no app's.
func Charge(w http.ResponseWriter, app int) {
	if res := responseOf(w); res != nil {
		res.app = app
	}
}

// Static is Charge for a request that the server itself answers with a file: it also counts as
// a static one.
func Static(w http.ResponseWriter, app int) {
	if res := responseOf(w); res != nil {
		res.app, res.static = app, true
	}
}

// BodyRefused counts that the body of the request behind w, which is as for Charge, is over
// a limit. The request itself is counted when it ends, as any other.
func BodyRefused(w http.ResponseWriter) {
	if res := responseOf(w); res != nil {
		res.pool.opts.Page.AddReject(res.app, scoreboard.RejectLimitPost)
	}
}

// Refused counts a request that a server in front of Handler answered by itself, with that
// status, or would have if it could.
func (p *Pool) Refused(status int) { p.opts.Page.AddRefusal(status) }

// appOf is for a request that nobody is charged with.
func (p *Pool) appOf(r *http.Request) int {
	if p.opts.AppOf == nil {
		return scoreboard.NoApp
	}
	return p.opts.AppOf(r)
}

// responseOf is nil if w is a writer of a test, say.
func responseOf(w http.ResponseWriter) *response {
	for {
		switch inner := w.(type) {
		case *response:
			return inner
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return nil
		}
	}
}
