package master

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// lastWords is how long a reaped process's control connection is still listened to. All
// it said is in the socket's buffer; only a descriptor that leaked to a grandchild could
// keep the end from coming.
const lastWords = time.Second

// outbox is how many frames may wait for a worker that does not read.
const outbox = 16

// running is one process as the loop holds it.
type running struct {
	inc  incarnation
	slot int
	gen  int
	apps []stats.App   // of its plan
	dir  string        // likewise
	proc Process       // nil until evSpawned
	out  chan outgoing // read by the writer; closed when it is buried

	health health
	gauge  gauge
	jitter float64 // of its lifetime, in [0,1)
	maxRSS uint64  // bytes, once it is reaped

	// While another program is to take over.
	resume chan struct{} // to the hearer that paused; has room for one
	paused bool
	answer *control.Assembled // what the hearer had of one
}

// outgoing is a frame to write, or the question whether all before it were written.
type outgoing struct {
	message control.Message
	written chan<- struct{}
}

// say queues a frame. A worker that let so many wait will not read this one either; its
// timer is running.
func (r *running) say(m control.Message) {
	select {
	case r.out <- outgoing{message: m}:
	default:
	}
}

// flush gives what is closed when all that was said is written. A queue that is full is not
// waited for: then it stays open.
func (r *running) flush() <-chan struct{} {
	written := make(chan struct{})
	select {
	case r.out <- outgoing{written: written}:
	default:
	}
	return written
}

// spawn launches a process on a goroutine of its own, because a fork takes milliseconds
// and an exec on a slow disk any time.
func (l *loop) spawn(a actSpawn) {
	g := l.gens[a.gen]
	r := newRunning(a.inc, a.slot, a.gen, g.plan)
	l.procs[a.inc] = r
	spec := Spec{
		Slot: a.slot, Generation: a.gen,
		Share:    g.plan.share(l.options.survey(), l.machine.procs[a.inc].gen.workers),
		Affinity: g.plan.Affinity, Threads: g.plan.Threads, Apps: len(g.plan.Apps),
		Stdio: l.options.Stdio, Env: g.plan.Env, Dir: g.plan.Dir, Credential: g.plan.Credential,
	}
	for _, b := range g.sockets {
		spec.Sockets = append(spec.Sockets, b.FD())
	}
	mail := l.master.mail
	l.others.Go(func() {
		proc, err := g.launcher.Launch(spec)
		if err != nil {
			mail.post(note{ev: evSpawnFailed{a.inc, err}})
			return
		}
		mail.post(note{ev: evSpawned{a.inc, proc.PID()}, proc: proc})
		l.attend(r, proc)
	})
}

func newRunning(inc incarnation, slot, gen int, p Plan) *running {
	return &running{
		inc: inc, slot: slot, gen: gen, apps: p.Apps, dir: p.Dir,
		jitter: rand.Float64(),
		out:    make(chan outgoing, outbox), resume: make(chan struct{}, 1),
	}
}

// attend speaks with a process until it is gone.
func (l *loop) attend(r *running, proc Process) {
	l.others.Go(func() { write(proc.Conn(), r.out) })
	answers := l.master.metrics.listener(askable{r.inc, r.slot, r.gen}, r.answer)
	supervise(proc, &hearer{mail: l.master.mail, inc: r.inc, conn: proc.Conn(), answers: answers, resume: r.resume, gone: make(chan struct{})})
}

// supervise reports all a process says and then its end, in this order: an end that
// overtook the reason for it would leave the operator with a status code. The loop reaps
// it, for as long as it is not told, the process is not gone.
func supervise(proc Process, h *hearer) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		h.hear()
	}()
	proc.Wait()
	words := proc.Words()
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	select {
	case <-heard:
	case <-patience.C:
	}
	h.giveUp()
	<-heard
	h.mail.post(note{ev: evExited{inc: h.inc, words: words}})
}

// hearer reads the words of one process.
type hearer struct {
	mail    *mailbox
	inc     incarnation
	conn    *control.Conn
	answers *answers
	resume  <-chan struct{} // ends a pause
	gone    chan struct{}   // closed by giveUp
}

// giveUp ends the hearing. The connection stays open: should another program take over just
// now, it looks for the last words itself.
func (h *hearer) giveUp() {
	close(h.gone)
	_ = h.conn.Interrupt()
}

// hear posts what a worker says until its connection ends. The credits come back, because
// the loop goes on at least until the exit was posted, which waits for this.
func (h *hearer) hear() {
	open := newCredit()
	for {
		m, err := h.conn.Recv()
		switch {
		case err == control.ErrInterrupted && h.pause():
			continue
		case err == control.ErrInterrupted:
			h.mail.post(note{ev: evClosed{h.inc, nil}})
			return
		case err == io.EOF || errors.Is(err, syscall.ECONNRESET):
			h.mail.post(note{ev: evClosed{h.inc, nil}})
			return
		case err != nil:
			h.mail.post(note{ev: evClosed{h.inc, err}})
			return
		}
		if part, ok := m.(control.Metrics); ok {
			h.answers.take(part)
		} else if o, ok := m.(control.Overrun); ok {
			open.take()
			h.mail.post(note{overrun: &overrun{h.inc, o}, credit: open})
		} else if ev := said(h.inc, m); ev != nil {
			open.take()
			h.mail.post(note{ev: ev, credit: open})
		}
	}
}

// pause reports whether to go on after it.
func (h *hearer) pause() bool {
	select {
	case <-h.gone:
		return false
	default:
	}
	h.mail.post(note{paused: &paused{h.inc, h.answers.state()}})
	select {
	case <-h.resume:
		return true
	case <-h.gone:
		return false
	}
}

// said translates a message. The master's own kinds mean nothing here, and a worker that
// sends them is not worth an error: its next word or its exit will tell.
func said(inc incarnation, m control.Message) event {
	switch m := m.(type) {
	case control.Hello:
		return evHello{inc: inc, version: m.Version, build: m.Build}
	case control.Ready:
		return evReady{inc}
	case control.Failed:
		return evFailed{inc: inc, stage: m.Stage, err: m.Err}
	case control.Retire:
		return evRetire{inc: inc, reason: m.Reason}
	}
	return nil
}

// write sends what the loop has to say. It closes a connection that does not take it:
// the reader then reports the end, and the machine limits the worker's time. If the worker
// has closed it, the reader comes to that end by itself, after the worker's last words.
func write(conn *control.Conn, out <-chan outgoing) {
	for o := range out {
		if o.written != nil {
			close(o.written)
			continue
		}
		if err := conn.Send(o.message); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				_ = conn.Close()
			}
			break
		}
	}
	for o := range out { // until it is buried
		if o.written != nil {
			close(o.written) // there is nobody to write to
		}
	}
}

func (l *loop) setup(inc incarnation) control.Setup {
	r := l.procs[inc]
	g := l.gens[r.gen]
	s := control.Setup{
		Slot: r.slot, Generation: r.gen, Config: g.plan.Config,
		Mercy: g.plan.Mercy, Linger: g.plan.Linger,
	}
	for _, b := range g.sockets {
		s.Sockets = append(s.Sockets, b.Socket.Socket)
	}
	return s
}

func (l *loop) signal(inc incarnation, s syscall.Signal) {
	r := l.procs[inc]
	if err := r.proc.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		l.log.put(hclog.Error, "worker not killed", "slot", r.slot, "pid", r.proc.PID(), "signal", s, "err", err)
	}
}

// weigh says what the live generation and gen, which is to replace it, have answered.
func (l *loop) weigh(gen int) evWeighed {
	ev := evWeighed{gen: gen, candidate: l.tally(gen)}
	if live := l.machine.live; live != nil {
		ev.live = l.tally(live.id)
	}
	return ev
}

func (l *loop) tally(gen int) tally {
	var sum tally
	if g := l.gens[gen]; g != nil {
		sum = g.spent
	}
	for _, r := range l.procs {
		if r.gen == gen && r.proc != nil {
			sum = sum.plus(r.proc.Page().Numbers().Total)
		}
	}
	return sum
}

// bury folds what a process has done into its slot. It is gone, so the numbers are final.
func (l *loop) bury(a actBury) {
	r := l.procs[a.inc]
	delete(l.procs, a.inc)
	l.quiet(a.inc)
	close(r.out)
	l.master.metrics.gone(a.inc)
	if r.proc == nil {
		return // it never was
	}
	defer r.proc.Close()
	n := r.proc.Page().Numbers()
	l.gens[r.gen].spent = l.gens[r.gen].spent.plus(n.Total)
	l.ledgers[a.slot] = l.ledgers[a.slot].Plus(n.Total, n.Cores).PlusApps(r.apps, n.Apps)
}
