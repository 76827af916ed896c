package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

const (
	longestGather = 10 * time.Second       // whatever the master asks for
	lastGather    = 500 * time.Millisecond // of the exit's time
	maxTrouble    = 2 << 10                // of an error's text, in the log
)

// reporter answers the master's questions for metrics. It has a goroutine of its own: the
// application's collectors take as long as they like, and the life must not wait for them.
type reporter struct {
	stop context.CancelFunc // ends the answer under way, and asks for the last one
	done chan struct{}      // closed when that was given

	// Set before stop is called.
	mute bool          // nobody is left to hear the last answer
	last time.Duration // what the last answer may take

	// Owned by its goroutine.
	trouble string // what was logged last
}

// startReporter does nothing if there is nobody to report to, or nothing to say.
func (l *life) startReporter() {
	if l.questions == nil || l.service.Metrics == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &reporter{stop: stop, done: make(chan struct{})}
	l.reporter = r
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			select {
			case g := <-l.questions:
				l.answer(ctx, r, g)
			case <-ctx.Done():
			}
		}
		if !r.mute { // the last request is done, so these are the numbers that stay
			l.answer(context.WithoutCancel(ctx), r, control.Gather{Timeout: r.last})
		}
	}()
}

// endReporter gives the last answer, unless there is nobody left to hear it. It comes
// before the application is closed, for a collector may use what that closes.
func (l *life) endReporter(limit time.Duration) {
	if l.reporter == nil {
		return
	}
	l.reporter.mute, l.reporter.last = l.orphan, limit
	l.reporter.stop()
	if _, ok := patience(l, l.reporter.done, limit+cutMercy); !ok {
		l.log.Warn("the last metrics were not sent in time, what was counted since the ones before is lost")
	}
}

// answer sends what there is when the time is over at the latest, in frames.
func (l *life) answer(ctx context.Context, r *reporter, g control.Gather) {
	ctx, cancel := context.WithTimeout(ctx, min(g.Timeout, longestGather))
	defer cancel()
	m := control.Metrics{ID: g.ID}
	var err error
	m.Data, m.Partial, err = l.callMetrics(ctx)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // cut short by the end is nobody's fault
		r.note(l, err)
	}
	for part := range m.Parts() {
		l.report(part)
	}
}

func (l *life) callMetrics(ctx context.Context) (data []byte, partial bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			data, partial, err = nil, true, panicError(v)
		}
	}()
	return l.service.Metrics(ctx)
}

// note logs what went wrong when it is not what went wrong before: a collector that is
// broken is so every few seconds.
func (r *reporter) note(l *life, err error) {
	text := fmt.Sprint(err)
	text = text[:min(len(text), maxTrouble)]
	if text != r.trouble {
		r.trouble = text
		l.log.Warn("metrics of the application are incomplete", "error", text)
	}
}

// ask keeps the newest question only: whoever asked the one before has given up on it.
func (in *inbox) ask(g control.Gather) {
	select {
	case <-in.questions:
	default:
	}
	in.questions <- g // has room: nobody else sends
}
