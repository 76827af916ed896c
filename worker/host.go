package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// Host is a process that serves without a master, for debuggers and tests.
type Host struct {
	Sockets   []control.Socket
	Listeners []net.Listener   // one for each of Sockets; closed by Serve
	Page      *scoreboard.Page // the caller's, so that it can show the numbers

	Build  BuildFunc
	Config json.RawMessage // reaches Build in its Setup
	Log    hclog.Logger

	Mercy, Linger time.Duration // of the drain; zero Mercy means 30s

	Ready func()          // called when every accept loop is armed; may be nil
	Cut   <-chan struct{} // closed: stop without a drain; may be nil
}

// Serve leads the life of a worker in this process. The end of ctx begins the drain; it
// returns nil when that was complete. Signals are the caller's.
func Serve(ctx context.Context, h Host) error {
	if len(h.Listeners) != len(h.Sockets) {
		return fmt.Errorf("serve without a master: %d listeners for %d sockets", len(h.Listeners), len(h.Sockets))
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	in := newInbox()
	var watchers sync.WaitGroup
	watchers.Go(func() { in.watchContext(ctx) })
	watchers.Go(func() { in.watchCut(h.Cut) })
	defer watchers.Wait()
	defer in.close()

	setup := control.Setup{Slot: 1, Generation: 1, Sockets: h.Sockets, Config: h.Config, Mercy: h.Mercy, Linger: h.Linger}
	l := newLife(ctx, in, setup, h.Build, h.Log)
	l.page, l.listeners = h.Page, append([]net.Listener(nil), h.Listeners...)
	l.report = func(m control.Message) {
		switch m := m.(type) {
		case control.Ready:
			if h.Ready != nil {
				h.Ready()
			}
		case control.Retire:
			stop(errors.New(m.Reason)) // nobody will send a successor
		}
	}
	err := l.run()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, ctx.Err()) {
		err = errors.Join(cause, err)
	}
	return err
}

func (in *inbox) watchCut(cut <-chan struct{}) {
	select {
	case <-cut:
		in.post(event{kind: cutAsked})
	case <-in.closed:
	}
}
