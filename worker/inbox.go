package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed17661985/ostler/worker/control"
)

// event is something that happened to a worker.
type event struct {
	kind   eventKind
	setup  control.Setup // of setupCame
	drain  control.Drain // of drainAsked
	reason string        // of wornOut and stuck
	err    error         // of masterGone; nil is a plain EOF
}

type eventKind uint8

const (
	setupCame   eventKind = iota + 1
	drainAsked            // by the master
	masterGone            // the control connection ended
	reopenAsked           // by the master
	termCame              // SIGTERM
	stopAsked             // the context of Run or Serve ended
	cutAsked              // stop without a drain
	wornOut               // a limit of this process is reached
	stuck                 // a request does not end
)

func (k eventKind) String() string {
	names := [...]string{"setup", "drain", "end of the master", "reopen", "SIGTERM", "stop", "cut", "a limit", "a stuck request"}
	if k < 1 || int(k) > len(names) {
		return fmt.Sprintf("eventKind(%d)", uint8(k))
	}
	return names[k-1]
}

// inbox is where the watchers, each on its own goroutine, meet the one that decides.
type inbox struct {
	events chan event
	closed chan struct{} // nobody reads events any more

	questions chan control.Gather // has room for one; the reporter's, not the life's
}

func newInbox() *inbox {
	return &inbox{events: make(chan event), closed: make(chan struct{}), questions: make(chan control.Gather, 1)}
}

func (in *inbox) close() { close(in.closed) }

// post reports whether the event was taken.
func (in *inbox) post(ev event) bool {
	select {
	case in.events <- ev:
		return true
	case <-in.closed:
		return false
	}
}

// awaitSetup waits for the master's first word, or a reason not to wait any longer.
func (in *inbox) awaitSetup() (control.Setup, error) {
	for ev := range in.events {
		switch ev.kind {
		case setupCame:
			return ev.setup, nil
		case masterGone:
			return control.Setup{}, errors.Join(errors.New("the master went away before it sent a setup"), ev.err)
		case drainAsked, stopAsked, termCame:
			return control.Setup{}, fmt.Errorf("%s came before the setup", ev.kind)
		}
	}
	return control.Setup{}, nil // not reached: events is never closed
}

func (in *inbox) watchConn(conn *control.Conn) {
	for {
		m, err := conn.Recv()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			in.post(event{kind: masterGone, err: err})
			return
		}
		ev := event{}
		switch m := m.(type) {
		case control.Setup:
			ev = event{kind: setupCame, setup: m}
		case control.Drain:
			ev = event{kind: drainAsked, drain: m}
		case control.Reopen:
			ev = event{kind: reopenAsked}
		case control.Gather:
			in.ask(m)
			continue
		case control.Share:
			use(m)
			continue
		default:
			continue // what only a worker says
		}
		if !in.post(ev) {
			return
		}
	}
}

func (in *inbox) watchSignals(signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			if !in.post(event{kind: termCame}) {
				return
			}
		case <-in.closed:
			return
		}
	}
}

func (in *inbox) watchContext(ctx context.Context) {
	select {
	case <-ctx.Done():
		in.post(event{kind: stopAsked})
	case <-in.closed:
	}
}

// catchSignals gives SIGTERM to the caller and keeps a worker alive through the rest:
// a terminal and a careless pkill reach the workers as well as their master, and only the
// master is to act. SIGPIPE would come from a log whose reader died. SIGQUIT is left to
// Go, which prints every goroutine's stack.
//
// They are caught rather than ignored, because programs that the application starts would
// inherit the ignoring.
func catchSignals() (<-chan os.Signal, func()) {
	terms := make(chan os.Signal, 4)
	signal.Notify(terms, syscall.SIGTERM)
	unread := make(chan os.Signal, 1) // Notify never blocks
	signal.Notify(unread, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU)
	return terms, func() {
		signal.Stop(terms)
		signal.Stop(unread)
	}
}
