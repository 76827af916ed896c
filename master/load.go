package master

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// admitted is what the loop holds of a generation.
type admitted struct {
	plan     Plan
	launcher Launcher
	sockets  []*Bound // Invariant: same order and length as plan.Sockets
	spent    tally    // of its processes that are gone
}

// socketSet is all sockets the master holds, by the name they were asked for with.
type socketSet struct {
	held map[string]*heldSocket

	// counted are those whose overflows are not in overflows yet, which has those of the
	// closed ones.
	counted   []*Bound
	overflows uint64

	// leased: a load may use any of them, so none is closed before it reported.
	leased bool
}

type heldSocket struct {
	bound  *Bound
	users  int // generations
	vacuum bool
}

func newSocketSet() socketSet { return socketSet{held: make(map[string]*heldSocket)} }

// load asks for the next generation, and binds what it needs before anything else is
// done for it: a taken port must cost an error message, not an outage.
func (l *loop) load(gen int) {
	l.sockets.leased = true
	existing := make(map[string]*Bound, len(l.sockets.held))
	for name, h := range l.sockets.held {
		existing[name] = h.bound
	}
	ctx, load, mail := l.loadCtx, l.options.Load, l.master.mail
	l.others.Go(func() {
		a, step, err := fetch(ctx, load, existing)
		if err != nil {
			mail.post(note{ev: evLoadFailed{gen: gen, step: step, err: err}})
			return
		}
		mail.post(note{
			ev:     evLoaded{gen: gen, build: a.plan.Build, workers: a.plan.Workers, scaling: a.plan.Scaling, timing: a.plan.timing()},
			loaded: a,
		})
	})
}

// fetch runs beside the loop, and so takes everything it needs by value. It either hands
// over a whole generation or leaves nothing behind: no launcher, no socket.
func fetch(ctx context.Context, load func(context.Context) (Plan, Launcher, error), existing map[string]*Bound) (*admitted, Step, error) {
	plan, launcher, err := load(ctx)
	if err != nil {
		return nil, StepLoad, err
	}
	if err := plan.check(); err != nil {
		return nil, StepLoad, errors.Join(err, launcher.Close())
	}
	sockets, err := bindAll(ctx, plan.Sockets, existing)
	if err != nil {
		return nil, StepBind, errors.Join(err, launcher.Close())
	}
	return &admitted{plan: plan.withDefaults(), launcher: launcher, sockets: sockets}, StepBind, nil
}

// bindAll binds what does not exist yet. It leaves nothing behind if one of them fails.
func bindAll(ctx context.Context, want []Socket, existing map[string]*Bound) ([]*Bound, error) {
	var all, fresh []*Bound
	for _, s := range want {
		b := existing[s.Name]
		var err error
		if b == nil {
			if b, err = Listen(ctx, s); err == nil {
				fresh = append(fresh, b)
			}
		} else if b.Proto != s.Proto {
			// Old and new workers would answer side by side, in two languages.
			err = fmt.Errorf("bind %s socket %s: it serves %s now; stop and start to change that", s.Proto, s.Name, b.Proto)
		}
		if err != nil {
			for _, b := range fresh {
				err = errors.Join(err, b.Close(true))
			}
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// admit takes over what a load brought.
func (l *loop) admit(gen int, a *admitted) {
	l.gens[gen] = a
	for _, app := range a.plan.Apps {
		if !slices.Contains(l.known, app) {
			l.known = append(l.known, app)
		}
	}
	for i, s := range a.plan.Sockets {
		h := l.sockets.held[s.Name]
		if h == nil {
			h = &heldSocket{bound: a.sockets[i], vacuum: l.options.Vacuum}
			l.sockets.held[s.Name] = h
			l.sockets.counted = append(l.sockets.counted, h.bound)
			l.warnClamped(s, h.bound)
		}
		h.users++
	}
	l.sockets.leased = false
	l.sweep()
}

func (l *loop) warnClamped(s Socket, b *Bound) {
	if b.Clamped > 0 {
		l.log.put(hclog.Warn, "listen is above the kernel's limit", "socket", s.Name, "listen", s.Backlog, "limit", b.Clamped)
	}
}

// promote gives sockets that were kept the settings of the new plan. Not earlier: a
// rejected plan must change nothing.
func (l *loop) promote(gen int) {
	a := l.gens[gen]
	for i, s := range a.plan.Sockets {
		if err := a.sockets[i].adjust(s); err != nil {
			l.log.put(hclog.Warn, "socket not adjusted", "socket", s.Name, "err", err)
		}
	}
}

// release lets a generation's program and sockets go.
func (l *loop) release(r actRelease) {
	a := l.gens[r.gen]
	delete(l.gens, r.gen)
	if err := a.launcher.Close(); err != nil {
		l.log.put(hclog.Warn, "executable not released", "gen", r.gen, "err", err)
	}
	for _, s := range a.plan.Sockets {
		h := l.sockets.held[s.Name]
		h.users--
		// What was bound for nothing is taken back, whatever vacuum says.
		h.vacuum = h.vacuum || r.rejected && h.users == 0
	}
	l.sweep()
}

// sweep closes the sockets nobody uses.
func (l *loop) sweep() {
	if l.sockets.leased {
		return
	}
	for name, h := range l.sockets.held {
		if h.users == 0 {
			delete(l.sockets.held, name)
			l.closeSocket(h)
		}
	}
}

// deafen closes all sockets and leaves it to release to forget them. A load that is
// under way will be told that it came too late.
func (l *loop) deafen() {
	for _, h := range l.sockets.held {
		l.closeSocket(h)
	}
}

func (l *loop) closeSocket(h *heldSocket) {
	if err := h.bound.Close(h.vacuum); err != nil {
		l.log.put(hclog.Warn, "socket not closed", "socket", h.bound.Name, "err", err)
	}
}
