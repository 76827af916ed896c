package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// aliveTimeout is how long the master may take to react. It needs microseconds, and who
// asks waits a second or more before it restarts a server.
const aliveTimeout = time.Second

// healthz is for who restarts what hangs. It says nothing about workers: the master
// replaces those itself, and its restart would help none of them.
func (p *pages) healthz(w http.ResponseWriter, r *http.Request) {
	if p.options.Alive != nil {
		ctx, cancel := context.WithTimeout(r.Context(), aliveTimeout)
		defer cancel()
		if err := p.options.Alive(ctx); err != nil {
			say(w, http.StatusServiceUnavailable, "the master does not react: "+err.Error())
			return
		}
	}
	say(w, http.StatusOK, "alive")
}

// readyz is for who sends requests here or elsewhere.
func (p *pages) readyz(w http.ResponseWriter, _ *http.Request) {
	s := p.options.Source.Snapshot()
	status := http.StatusOK
	if !ready(s) {
		status = http.StatusServiceUnavailable
	}
	say(w, status, fmt.Sprintf("%s: %d of %d workers accept requests", s.State, s.Ready, s.Wanted))
}

// ready is true of a server that takes all the requests it was made for. A reload does not
// change that: the old workers accept until the new ones do. Nor does a load that calls for
// more workers, or whoever sends requests would turn away from a server that grows.
func ready(s stats.Snapshot) bool {
	up := s.State == "serving" || s.State == "reloading"
	return up && s.Ready > 0 && s.Ready >= s.WantedLeast
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}
