package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// loopLegacy is all that a master leaves to the program that takes its place. Descriptors
// are named by their numbers, which an execution does not change.
type loopLegacy struct {
	Began       time.Time
	Machine     machineLegacy
	Generations map[int]admittedLegacy
	Sockets     map[string]BoundLegacy // by the name they were asked for with
	Vacuums     map[string]bool        // those that are removed at their end
	Overflows   uint64                 // of sockets that are closed
	Processes   map[incarnation]runningLegacy
	Ledgers     map[int]ledgerLegacy // by slot
	Known       []stats.App
	Outcome     *Outcome
	Crashes     []stats.Crash
	Overruns    []stats.Overrun
	Question    uint64 // the last one about metrics
}

type admittedLegacy struct {
	Plan             Plan
	Program          string
	Args             []string
	FD               int
	Requests, Errors uint64 // of its processes that are gone
}

// BoundLegacy is a socket that is handed to another program.
type BoundLegacy struct {
	Socket   Socket
	FD       int
	Clamped  int
	Dev, Ino uint64 // of its file, if it has one
	HasFile  bool
}

type runningLegacy struct {
	Conn, Board, Crash int
	Rest               []byte             // received and not used yet
	Answer             *control.Assembled // likewise, of metrics
}

type ledgerLegacy struct {
	Total stats.Counters
	Cores []stats.CoreCounters
	Apps  []appLegacy // a map by struct is no JSON
}

type appLegacy struct {
	App      stats.App
	Counters stats.AppCounters
}

// describe is called while everything stands still.
func (l *loop) describe() (*Frozen, error) {
	var fds rawFDs
	state := loopLegacy{
		Began: l.began, Machine: l.machine.legacy(),
		Generations: make(map[int]admittedLegacy), Sockets: make(map[string]BoundLegacy), Vacuums: make(map[string]bool),
		Processes: make(map[incarnation]runningLegacy), Ledgers: make(map[int]ledgerLegacy),
		Known: l.known, Outcome: l.outcome, Crashes: l.crashes, Overruns: l.overruns,
	}
	if m := l.master.metrics; m != nil {
		state.Question = m.asked.Load()
	}
	state.Overflows, _ = l.sockets.fold()
	for id, g := range l.gens {
		state.Generations[id] = g.legacy(&fds)
	}
	for name, h := range l.sockets.held {
		state.Sockets[name], state.Vacuums[name] = h.bound.Legacy(), h.vacuum
		fds.list = append(fds.list, uintptr(h.bound.FD()))
	}
	for inc, r := range l.procs {
		state.Processes[inc] = r.legacy(&fds)
	}
	for slot, sums := range l.ledgers {
		state.Ledgers[slot] = legacyOf(sums)
	}
	return l.freezeFrame(state, fds)
}

func (l *loop) freezeFrame(state loopLegacy, fds rawFDs) (*Frozen, error) {
	text, err := json.Marshal(state)
	live := l.gens[l.machine.live.id]
	program, ok := live.launcher.(*Executable)
	if !ok {
		err = errors.Join(err, fmt.Errorf("a program started by a %T cannot take over", live.launcher))
	}
	if err := errors.Join(err, fds.err); err != nil {
		return nil, fmt.Errorf("describe the master: %w", err)
	}
	f := &Frozen{State: text, Program: program, Config: live.plan.Config}
	for _, fd := range fds.list {
		f.FDs = append(f.FDs, int(fd))
	}
	return f, nil
}

func (a *admitted) legacy(fds *rawFDs) admittedLegacy {
	l := admittedLegacy{Plan: a.plan, Requests: a.spent.requests, Errors: a.spent.errors}
	if x, ok := a.launcher.(*Executable); ok {
		l.Program, l.Args, l.FD = x.name, x.args, x.pin.keep(fds)
	}
	return l
}

// Legacy describes the socket; its descriptor has to stay open.
func (b *Bound) Legacy() BoundLegacy {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := BoundLegacy{Socket: b.Socket, FD: b.fd, Clamped: b.Clamped}
	if b.file != nil {
		l.HasFile, l.Dev, l.Ino = true, b.file.dev, b.file.ino
	}
	return l
}

func (r *running) legacy(fds *rawFDs) runningLegacy {
	c, ok := r.proc.(*child)
	if !ok {
		fds.err = errors.Join(fds.err, fmt.Errorf("a process that is a %T cannot be handed over", r.proc))
		return runningLegacy{}
	}
	l := runningLegacy{Rest: c.conn.Rest(), Answer: r.answer}
	fds.err = errors.Join(fds.err, c.conn.FD(func(fd int) { l.Conn = fd }))
	fds.list = append(fds.list, uintptr(l.Conn))
	l.Board, l.Crash = fds.number(c.board), fds.number(c.crash)
	return l
}

func legacyOf(sums stats.Ledger) ledgerLegacy {
	l := ledgerLegacy{Total: sums.Total, Cores: sums.Cores}
	for app, counters := range sums.Apps {
		l.Apps = append(l.Apps, appLegacy{app, counters})
	}
	return l
}

func (l ledgerLegacy) ledger() stats.Ledger {
	sums := stats.Ledger{Total: l.Total, Cores: l.Cores, Apps: make(map[stats.App]stats.AppCounters)}
	for _, a := range l.Apps {
		sums.Apps[a.App] = a.Counters
	}
	return sums
}

// Resume is New for the program that takes a frozen master's place. Its Run goes on where
// that one stopped.
func Resume(o Options, state json.RawMessage) (*Master, error) {
	legacy, err := decodeLegacy(state)
	if err != nil {
		return nil, err
	}
	m := New(o)
	m.legacy = legacy
	if m.metrics != nil {
		m.metrics.last = legacy.Question
		m.metrics.asked.Store(legacy.Question)
	}
	return m, nil
}

// CheckState reports whether Resume understands state. It touches no descriptor.
func CheckState(state json.RawMessage) error {
	_, err := decodeLegacy(state)
	return err
}

func decodeLegacy(state json.RawMessage) (*loopLegacy, error) {
	var l loopLegacy
	if err := json.Unmarshal(state, &l); err != nil {
		return nil, fmt.Errorf("understand the state of the master before: %w", err)
	}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("the state of the master before: %w", err)
	}
	return &l, nil
}

// check sees to it that what the state refers to is there.
func (l *loopLegacy) check() error {
	live := 0
	for _, g := range l.Machine.Generations {
		plan, ok := l.Generations[g.ID]
		if !ok {
			return fmt.Errorf("no plan of generation %d", g.ID)
		}
		for _, s := range plan.Plan.Sockets {
			if _, ok := l.Sockets[s.Name]; !ok {
				return fmt.Errorf("no socket %s of generation %d", s.Name, g.ID)
			}
		}
		if g.State == Live {
			live++
		}
	}
	for _, p := range l.Machine.Processes {
		_, reached := l.Processes[p.Inc]
		_, planned := l.Generations[p.Gen]
		if !reached || !planned || p.Slot < 1 || p.Slot > len(l.Machine.Slots) {
			return fmt.Errorf("process %d has no slot, no plan or no connection", p.PID)
		}
	}
	if live != 1 || len(l.Generations) != len(l.Machine.Generations) {
		return fmt.Errorf("%d of %d generations are live", live, len(l.Generations))
	}
	return nil
}

// inherit takes over what another program left in this process.
func (l *loop) inherit(from *loopLegacy) error {
	l.began, l.known, l.outcome, l.crashes = from.Began, from.Known, from.Outcome, from.Crashes
	l.overruns = from.Overruns
	l.sockets.overflows = from.Overflows
	for name, b := range from.Sockets {
		h := &heldSocket{bound: AdoptBound(b), vacuum: from.Vacuums[name]}
		l.sockets.held[name] = h
		l.sockets.counted = append(l.sockets.counted, h.bound)
	}
	for id, g := range from.Generations {
		l.gens[id] = l.adopted(g)
	}
	for slot, sums := range from.Ledgers {
		l.ledgers[slot] = sums.ledger()
	}
	l.machine = resume(l.machine.backoff, from.Machine)
	var errs []error
	for _, p := range from.Machine.Processes {
		errs = append(errs, l.adopt(p, from.Processes[p.Inc]))
	}
	return errors.Join(errs...)
}

// AdoptBound takes over a socket that another program left in this process.
func AdoptBound(l BoundLegacy) *Bound {
	unix.CloseOnExec(l.FD)
	b := &Bound{Socket: l.Socket, Clamped: l.Clamped, fd: l.FD}
	if l.HasFile {
		b.file = &fileID{dev: l.Dev, ino: l.Ino}
	}
	return b
}

func (l *loop) adopted(g admittedLegacy) *admitted {
	a := &admitted{
		plan: g.Plan, launcher: &Executable{name: g.Program, args: g.Args, pin: adoptPin(g.FD, g.Program)},
		spent: tally{g.Requests, g.Errors},
	}
	for _, s := range g.Plan.Sockets {
		h := l.sockets.held[s.Name]
		h.users++
		a.sockets = append(a.sockets, h.bound)
	}
	return a
}

// adopt takes over a process: it is our child still.
func (l *loop) adopt(p processLegacy, from runningLegacy) error {
	r := newRunning(p.Inc, p.Slot, p.Gen, l.gens[p.Gen].plan)
	l.procs[p.Inc] = r
	c, err := adoptChild(p.PID, from)
	if err != nil {
		return fmt.Errorf("worker %d, pid %d: %w", p.Slot, p.PID, err)
	}
	r.proc, r.answer = c, from.Answer
	l.others.Go(func() { l.attend(r, c) })
	return nil
}

func adoptChild(pid int, from runningLegacy) (*child, error) {
	for _, fd := range [...]int{from.Conn, from.Board, from.Crash} {
		unix.CloseOnExec(fd)
	}
	c := &child{
		birth: &birth{}, // it is over
		board: os.NewFile(uintptr(from.Board), "scoreboard"),
		crash: os.NewFile(uintptr(from.Crash), "crash output"),
	}
	var err error
	if c.page, err = scoreboard.View(c.board); err != nil {
		return nil, err
	}
	if c.conn, err = control.Adopt(from.Conn, from.Rest); err != nil {
		return nil, err
	}
	c.proc, err = os.FindProcess(pid)
	return c, err
}
