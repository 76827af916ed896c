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
	Reason     string // why no further, in the program's own words if it gave a reason
	Words      string // what it printed, if it gave none: a panic, the stacks of one that hung
	Began      time.Time
	Took       time.Duration
}

// Live reports whether the generation serves now. If not, the one before it does, and
// never stopped to.
func (o Outcome) Live() bool { return o.Step == StepLive }

// RejectedError is what Reload returns for a generation that could not start.
type RejectedError struct{ Outcome Outcome }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("generation %d rejected at %s: %s", e.Outcome.Generation, e.Outcome.Step, quote(e.Outcome.Reason, e.Outcome.Words))
}

// quote sets a program's own words under the reason they are for.
func quote(reason, words string) string {
	if words == "" {
		return reason
	}
	return reason + "\n" + words
}

// fields are the log pairs of a reload that was rejected.
func (o Outcome) fields() []any {
	kv := []any{"gen", o.Generation, "step", o.Step.String(), "reason", o.Reason}
	if o.Words != "" {
		kv = append(kv, "words", o.Words)
	}
	return kv
}

// WordsError is an error of a program that printed what may explain it. Load returns one
// to have the words shown apart from the reason.
type WordsError struct {
	Err   error
	Words string
}

func (e *WordsError) Error() string { return quote(e.Err.Error(), e.Words) }
func (e *WordsError) Unwrap() error { return e.Err }

// explained takes the words out of a chain of errors.
func explained(err error) (reason, words string) {
	var w *WordsError
	if errors.As(err, &w) {
		return w.Err.Error(), w.Words
	}
	return err.Error(), ""
}

// StartError reports that the first generation could not run: a worker gave up, died or
// hung before any was ready. Its text is the program's own. server.Main takes it as exit
// code 3.
type StartError struct {
	Slot   int
	Stage  string // where the worker says it was; empty if it said nothing
	Reason string
	Words  string // what it printed, if it gave no reason
}

func (e *StartError) Error() string { return quote(e.Reason, e.Words) }
