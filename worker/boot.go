package worker

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// built is the outcome of a BuildFunc.
type built struct {
	service Service
	err     error
}

// boot builds the application. It reports false if the worker was told to stop first.
func (l *life) boot() (proceed bool, err error) {
	result := make(chan built, 1)
	go l.callBuild(result)
	for {
		select {
		case b := <-result:
			l.service = b.service
			return b.err == nil, b.err
		case ev := <-l.inbox.events:
			switch ev.kind {
			case termCame:
				if l.terms++; l.terms > 1 {
					return false, l.abandon(result, l.setup.Mercy)
				}
			case reopenAsked:
				l.reopen = true
			case drainAsked:
				return false, l.abandon(result, ev.drain.Timeout)
			case cutAsked:
				return false, l.abandon(result, 0)
			case masterGone, stopAsked:
				return false, l.abandon(result, l.setup.Mercy)
			}
		}
	}
}

// callBuild does not let a panic escape: its text has to reach the master.
func (l *life) callBuild(result chan<- built) {
	b := built{err: errGoexit}
	defer func() {
		if v := recover(); v != nil {
			b = built{err: panicError(v)}
		}
		result <- b
	}()
	s, err := l.build(l.appCtx, l.setup)
	if err == nil && (s.Handler == nil || s.NewServer == nil) {
		err = errors.New("the application was built without a handler or a server")
	}
	b = built{s, err}
}

// errGoexit is what remains of a call that never came back, though its goroutine ended.
var errGoexit = errors.New("the application ended its own goroutine (runtime.Goexit)")

// panicError is called while the panic's stack still stands.
func panicError(v any) error { return fmt.Errorf("panic: %v\n\n%s", v, debug.Stack()) }

// abandon gives a build that is not wanted any more the time to notice, and closes what
// it opened, both within limit.
func (l *life) abandon(result <-chan built, limit time.Duration) error {
	ends := time.Now().Add(limit)
	l.endAppCtx()
	for _, ln := range l.listeners {
		_ = ln.Close()
	}
	longest := limit - reserve(limit)
	b, ok := patience(l, result, longest)
	if !ok {
		return fmt.Errorf("the application was still being built %s after it was told to stop", longest)
	}
	if b.err != nil {
		return nil // nobody asks any more why it could not be built
	}
	l.service = b.service
	return l.closeApp(time.Until(ends))
}

// patience waits for the application to come back, until limit or until somebody is tired
// of waiting: nobody else may be left to end this process. It reports whether it came.
func patience[T any](l *life, result <-chan T, limit time.Duration) (r T, ok bool) {
	timer := time.NewTimer(max(limit, time.Millisecond))
	defer timer.Stop()
	for {
		select {
		case r = <-result:
			return r, true
		case <-timer.C:
			return r, false
		case ev := <-l.inbox.events:
			if now, _ := l.hurry(ev); now {
				return r, false
			}
		}
	}
}
