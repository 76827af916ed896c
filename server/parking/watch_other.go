//go:build !linux

package parking

import "errors"

// watch is not there: each connection has a goroutine that waits, with a small stack.
type watch struct{}

func newWatch() (*watch, error) { return nil, errors.ErrUnsupported }

func (w *watch) add(*Conn) bool           { return false }
func (w *watch) remove(*Conn)             {}
func (w *watch) run(tell func(id uint64)) {}
func (w *watch) close()                   {}
