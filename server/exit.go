package server

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
)

// Exit codes of every program built on this package, and of cmd/ostler.
const (
	exitOK      = 0
	exitRuntime = 1 // something failed while running; a reload was taken back
	exitUsage   = 2 // the command line or the configuration
	exitStart   = 3 // no worker became ready
	exitBusy    = 4 // another reload is running
)

// usageError is a mistake on the command line or in what main registered.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitCode is what the process ends with after err.
func exitCode(err error) int {
	var (
		usage   *usageError
		bad     config.Errors
		noStart *master.StartError
		told    *exitError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &usage), errors.As(err, &bad):
		return exitUsage
	case errors.As(err, &noStart):
		return exitStart
	}
	return exitRuntime
}

// UsageError marks err as a mistake on the command line: exit code 2.
func UsageError(err error) error { return &usageError{err} }

// Report prints err for the person at the terminal and returns the exit code.
// Configuration errors stand alone, one per line, so that editors can jump to
// file and line.
func Report(w io.Writer, program string, err error) int {
	var bad config.Errors
	switch {
	case err == nil || err.Error() == "": // nothing to say, or said already
	case errors.As(err, &bad):
		fmt.Fprintln(w, bad)
	default:
		fmt.Fprintf(w, "%s: %v\n", program, err)
	}
	return exitCode(err)
}
