package worker

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// onOverrun tells the log and the supervisor where a request stands that has used up much of
// its time.
func (l *life) onOverrun(o pool.Overrun) {
	where := l.stacks.of(o.Label())
	level, what := hclog.Warn, "request is slow"
	if o.Percent == 100 {
		level, what = hclog.Error, "request is over its limit (harakiri)"
	}
	l.log.Log(level, what, "method", o.Method, "path", o.Path, "peer", o.Peer, "age", o.Age.Round(time.Millisecond),
		"limit", o.Limit, "percent", o.Percent, "request", o.ID, "stack", where)
	l.report(control.Overrun{
		ID: o.ID, Method: o.Method, Path: o.Path, Peer: o.Peer, Start: o.Start,
		Percent: o.Percent, Age: o.Age, Limit: o.Limit, Stack: where,
	})
}

// onStuck asks for a successor, however young this process is. It goes on serving until that
// is there: what sticks is one request.
func (l *life) onStuck(r pool.Request) {
	l.inbox.post(event{kind: stuck, reason: fmt.Sprintf("harakiri: %s %s runs since %s", r.Method, r.Path, time.Since(r.Start).Round(time.Millisecond))})
}
