package master

import (
	"slices"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// overrun is what a worker says of a request that takes long.
type overrun struct {
	inc incarnation
	control.Overrun
}

// keepLook adds a look at a request to those before it, which are on their way to readers and
// never changed. The newest request comes first.
func (l *loop) keepLook(o *overrun) {
	r := l.procs[o.inc]
	if r == nil || r.proc == nil {
		return
	}
	now := stats.Overrun{
		Worker: r.slot, PID: r.proc.PID(), Generation: r.gen, ID: o.ID,
		Method: o.Method, Path: o.Path, Peer: o.Peer, Start: o.Start.Unix(),
	}
	all := slices.Clone(l.overruns)
	if n := slices.IndexFunc(all, func(k stats.Overrun) bool { return k.PID == now.PID && k.ID == now.ID }); n >= 0 {
		now.Looks = slices.Clone(all[n].Looks)
		all = slices.Delete(all, n, n+1)
	}
	now.Percent, now.LimitMS = o.Percent, o.Limit.Milliseconds()
	now.Looks = append(now.Looks, stats.Look{Percent: o.Percent, AgeMS: o.Age.Milliseconds(), Stack: o.Stack})
	now.Looks = now.Looks[max(0, len(now.Looks)-maxLooks):] // a worker may say what it likes
	all = append([]stats.Overrun{now}, all...)
	l.overruns = slices.Clip(all[:min(len(all), stats.MaxOverruns)])
}

const maxLooks = 3
