package worker

import "fmt"

// State is how far a worker is in its life, in its own view. The scoreboard shows it.
type State uint8

const (
	Booting  State = iota + 1 // the application is being built
	Serving                   // every accept loop is armed
	Draining                  // nothing new is accepted; what was is finished
	Done                      // the application is closed
)

func (s State) String() string {
	switch s {
	case Booting:
		return "booting"
	case Serving:
		return "serving"
	case Draining:
		return "draining"
	case Done:
		return "done"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// allows reports whether next may follow s.
func (s State) allows(next State) bool {
	switch s {
	case Booting:
		return next == Serving || next == Done // Done: it could not be built, or was not wanted any more
	case Serving:
		return next == Draining
	case Draining:
		return next == Done
	}
	return false
}

// move is the only place where the state changes.
func (l *life) move(next State) error {
	if !l.state.allows(next) {
		err := fmt.Errorf("a worker cannot go from %s to %s", l.state, next)
		l.log.Error("illegal state change", "error", err)
		return err
	}
	l.show(next)
	return nil
}

func (l *life) show(s State) {
	l.state = s
	if l.page != nil {
		l.page.SetState(uint32(s))
	}
}
