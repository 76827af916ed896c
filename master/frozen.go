package master

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ErrRestless is why a master cannot be handed over now: something has just begun. It can
// be tried again.
var ErrRestless = errors.New("something is starting or ending: it cannot be handed over at this moment")

// freezeLimit is how long the goroutines beside the loop may take to come to rest.
const freezeLimit = 2 * time.Second

// Frozen is a master that stands still, for the program that is to take its place in this
// process. Between Freeze and Thaw it does nothing, and nobody's words are lost.
type Frozen struct {
	State   json.RawMessage // for Resume
	FDs     []int           // that State names; they have to stay open across the execution
	Program *Executable     // of the generation that serves
	Config  json.RawMessage // likewise, of its plan

	thaw func()
}

// Thaw lets the master go on where it stopped: the execution failed.
func (f *Frozen) Thaw() { f.thaw() }

// freezing is a freeze under way.
type freezing struct {
	reply   chan<- frozen // has room for one
	thaw    <-chan struct{}
	over    *time.Timer
	waiting map[incarnation]struct{} // whose words are still being read
}

type frozen struct {
	frozen *Frozen
	err    error
}

// AwaitRest returns when nothing is starting and no reload runs, or with the error of ctx.
func (m *Master) AwaitRest(ctx context.Context) error {
	rests := make(chan struct{})
	if !m.mail.post(note{rest: rests}) {
		return errStopping
	}
	select {
	case <-rests:
		return nil
	case <-m.done:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Freeze stops the master, if it rests. The caller either executes another program in this
// process or calls Thaw.
func (m *Master) Freeze(ctx context.Context) (*Frozen, error) {
	reply, thaw := make(chan frozen, 1), make(chan struct{})
	f := &freezing{reply: reply, thaw: thaw, waiting: make(map[incarnation]struct{})}
	if !m.mail.post(note{freeze: f}) {
		return nil, errStopping
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return nil, r.err
		}
		r.frozen.thaw = func() { close(thaw) }
		return r.frozen, nil
	case <-ctx.Done():
		close(thaw) // should it freeze after all, it goes on at once
		return nil, ctx.Err()
	}
}

// freeze asks the hearers to stop after what has come whole.
func (l *loop) freeze(f *freezing) {
	if l.freezing != nil || !l.machine.resting() {
		f.reply <- frozen{err: ErrRestless}
		return
	}
	l.freezing = f
	f.over = time.AfterFunc(freezeLimit, func() { l.master.mail.post(note{freezeOver: f}) })
	for inc, r := range l.procs {
		if l.machine.procs[inc].lost {
			continue // nobody hears it any more
		}
		f.waiting[inc] = struct{}{}
		_ = r.proc.Conn().Interrupt() // a connection that cannot be interrupted is closed: it ends its hearer
	}
}

// paused notes that nobody reads the words of a process any more.
func (l *loop) paused(p *paused) {
	r := l.procs[p.inc]
	if r == nil {
		return
	}
	r.paused, r.answer = true, p.answer
	if l.freezing == nil { // it was given up meanwhile
		r.goOn()
		return
	}
	l.quiet(p.inc)
}

func (l *loop) quiet(inc incarnation) {
	if l.freezing != nil {
		delete(l.freezing.waiting, inc)
	}
}

// freezeWhenQuiet is called after each note.
func (l *loop) freezeWhenQuiet() {
	f := l.freezing
	if f == nil || len(f.waiting) > 0 {
		return
	}
	state, err := l.standStill()
	f.reply <- frozen{state, err}
	if err == nil {
		<-f.thaw
	}
	l.unfreeze()
}

// standStill brings to an end what others do for the loop, and describes what is left.
func (l *loop) standStill() (*Frozen, error) {
	if !l.machine.resting() {
		return nil, ErrRestless
	}
	limit := time.NewTimer(freezeLimit)
	defer limit.Stop()
	var waits []<-chan struct{}
	for _, r := range l.procs {
		waits = append(waits, r.flush())
	}
	waits = append(waits, l.master.metrics.flush(), l.herald.flush(), l.log.flush())
	for _, done := range waits {
		select {
		case <-done:
		case <-limit.C:
			return nil, errors.New("a worker, a log or a supervisor does not take what it is sent: it cannot be handed over at this moment")
		}
	}
	return l.describe()
}

func (l *loop) unfreeze() {
	l.freezing.over.Stop()
	l.freezing = nil
	for _, r := range l.procs {
		if r.paused {
			r.goOn()
		}
	}
}

// goOn has the words of a process read again.
func (r *running) goOn() {
	r.paused = false
	_ = r.proc.Conn().Resume()
	r.resume <- struct{}{}
}

// giveUpFreezing is for hearers that do not come to rest: a worker that talks without end.
func (l *loop) giveUpFreezing(f *freezing) {
	if l.freezing != f {
		return
	}
	f.reply <- frozen{err: ErrRestless}
	for inc := range f.waiting {
		_ = l.procs[inc].proc.Conn().Resume()
	}
	l.unfreeze()
}
