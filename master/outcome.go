package master

import (
	"errors"
	"fmt"
	"time"
)

// ErrReloadRunning refuses a reload that somebody waits for while another runs. The
// reload command takes it as exit code 4.
var ErrReloadRunning = errors.New("another reload is running")

var (
	errStarting = errors.New("the first generation is still starting")
	errStopping = errors.New("the master is stopping")
)

// Outcome is how a reload ended.
type Outcome struct {
	Generation int // the one that was tried
	Build      string
	Step       Step   // how far it came
	Reason     string // why no further, in the program's own words
	Began      time.Time
	Took       time.Duration
}

// Live reports whether the generation serves now. If not, the one before it does, and
// never stopped to.
func (o Outcome) Live() bool { return o.Step == StepLive }

// RejectedError is what Reload returns for a generation that could not start.
type RejectedError struct{ Outcome Outcome }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("generation %d rejected at %s: %s", e.Outcome.Generation, e.Outcome.Step, e.Outcome.Reason)
}

// StartError reports that the first generation could not run: a worker gave up, died or
// hung before any was ready. Its text is the program's own. server.Main takes it as exit
// code 3.
type StartError struct {
	Slot   int
	Stage  string // where the worker says it was; empty if it said nothing
	Reason string
}

func (e *StartError) Error() string { return e.Reason }
