package master

import (
	"os"
	"slices"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
)

// view is what the loop publishes after each step. It is never changed; the live numbers
// are read from the scoreboards when somebody looks.
type view struct {
	state      State
	generation int
	build      string
	cwd        string
	sockets    []*Bound
	workers    []workerView
	outcome    *Outcome
	crashes    []stats.Crash
	overruns   []stats.Overrun
	reloads    reloads
	scalings   scalings
	crew       crew
	began      time.Time
	dir        string // of the live plan

	// Of all sockets there have been: closed ones, and those that are not.
	overflows uint64
	counted   []*Bound
}

// workerView is one slot.
type workerView struct {
	id       int
	ledger   stats.Ledger // of the processes that are gone
	pages    []pageView   // of those that are not
	known    []stats.App  // every app there has been; loop only appends to it
	current  *processView // nil: none
	state    string
	spawns   int
	spawned  time.Time
	lastExit string
	lastWhy  stats.Exit
	exits    stats.Exits
}

// pageView is the scoreboard of a process and what its apps are.
type pageView struct {
	*scoreboard.Page
	apps []stats.App
	dir  string
}

// processView is the process that stands for its slot.
type processView struct {
	pid        int
	generation int
	page       pageView
	phase      Phase
}

// publish makes what is true now visible. The sockets shown are those of the live
// generation: a candidate's are not served yet, a retiring one's hardly any more.
func (l *loop) publish() {
	m := l.machine
	v := &view{
		state: m.state, cwd: l.cwd, outcome: l.outcome, crashes: l.crashes, overruns: l.overruns,
		reloads: m.reloads, scalings: m.scalings, began: l.began,
	}
	v.overflows, v.counted = l.sockets.fold()
	if last := l.master.view.Load(); last != nil { // a stop has no live generation; it drains this one
		v.generation, v.build, v.dir, v.crew = last.generation, last.build, last.dir, last.crew
	}
	if g := m.candidate; g != nil && m.live == nil {
		v.crew = crewOf(g)
	}
	if g := m.live; g != nil {
		v.crew = crewOf(g)
		v.generation, v.build = g.id, g.build
		v.sockets, v.dir = l.gens[g.id].sockets, l.gens[g.id].plan.Dir
	}
	for _, s := range m.slots {
		v.workers = append(v.workers, l.viewOf(s))
	}
	l.master.view.Store(v)
}

func (l *loop) viewOf(s *slot) workerView {
	w := workerView{
		id: s.id, ledger: l.ledgers[s.id], known: slices.Clip(l.known), state: "cheap",
		spawns: s.spawns, spawned: s.spawnedAt, lastExit: s.lastExit, lastWhy: s.lastWhy, exits: s.exits,
	}
	if s.ticket != 0 {
		w.state = "backoff"
	}
	for _, p := range s.procs {
		if r := l.procs[p.inc]; r != nil && r.proc != nil {
			w.pages = append(w.pages, r.page())
		}
	}
	if p := l.machine.face(s); p != nil {
		w.state = p.phase.String()
		if r := l.procs[p.inc]; r != nil && r.proc != nil {
			w.current = &processView{pid: p.pid, generation: p.gen.id, page: r.page(), phase: p.phase}
		}
	}
	return w
}

// face returns the process that stands for a slot: the one that serves, else one that
// will, else one that did; of equals the newest.
func (m *machine) face(s *slot) *process {
	rank := func(p *process) int {
		switch {
		case p.phase == Ready && p.gen == m.live:
			return 4
		case p.phase == Ready:
			return 3
		case p.starting():
			return 2
		}
		return 1
	}
	var best *process
	for _, p := range s.procs {
		if best == nil || rank(p) >= rank(best) {
			best = p
		}
	}
	return best
}

// latest is the newest view. A master that took over from another program has none until it
// knows what that one knew: to show less would be to go backwards.
func (m *Master) latest() *view {
	if m.legacy != nil {
		select {
		case <-m.started:
		case <-m.done:
		}
	}
	return m.view.Load()
}

// Snapshot is the state of everything. It may be called by anyone at any rate, and waits for
// nothing but for a master that is just taking over.
func (m *Master) Snapshot() stats.Snapshot {
	v := m.latest()
	now := m.now()
	s := stats.Snapshot{
		Version: m.options.Version, Ostler: m.options.Version,
		PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Cwd: v.cwd,
		Build: v.build, Generation: v.generation, State: v.state.String(),
		LastReload: v.outcome.row(), Reloads: stats.Reloads(v.reloads), Scalings: stats.Scalings(v.scalings),
		StartedAt: v.began.Unix(), ConfigFile: m.options.ConfigFile,
		Crashes: v.crashes, Overruns: v.overruns, Imbalance: int(m.imbalance.Load()),
	}
	for _, b := range v.sockets {
		row := b.Stats()
		s.Sockets = append(s.Sockets, row)
		s.ListenQueue = max(s.ListenQueue, row.Queue)
	}
	s.Load = s.ListenQueue
	s.ListenQueueErrors = int(v.overflows)
	for _, b := range v.counted {
		s.ListenQueueErrors += int(b.Overflows())
	}
	for _, w := range v.workers {
		row := w.row(now, v.dir)
		s.Workers = append(s.Workers, row)
		s.Ready += row.Accepting
	}
	// A reload to more workers has them before it counts.
	s.Wanted, s.WantedLeast = max(v.crew.wanted, s.Ready), v.crew.least
	s.WantedMost = max(v.crew.most, s.Wanted)
	return s
}

// Stats is the row of the socket in a Snapshot.
func (b *Bound) Stats() stats.Socket {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := stats.Socket{Name: b.Name, Proto: b.Proto, MaxQueue: b.Backlog, Shared: 1}
	if b.fd >= 0 { // an old view may outlive its sockets
		row.Queue = stats.QueueLength(b.fd)
	}
	return row
}

// Overflows is stats.QueueOverflows of the socket, and stays what it was when it is closed.
func (b *Bound) Overflows() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 {
		return b.overflows
	}
	return stats.QueueOverflows(b.fd)
}

// fold moves the numbers of closed sockets into the sum, so that a server whose sockets
// change does not keep them all. What it gives is the caller's.
func (s *socketSet) fold() (overflows uint64, counted []*Bound) {
	s.counted = slices.DeleteFunc(slices.Clone(s.counted), func(b *Bound) bool {
		closed := b.FD() < 0
		if closed {
			s.overflows += b.Overflows()
		}
		return closed
	})
	return s.overflows, s.counted
}

// row is nil if there was no reload yet.
func (o *Outcome) row() *stats.LastReload {
	if o == nil {
		return nil
	}
	row := &stats.LastReload{
		Generation: o.Generation, Build: o.Build, Step: o.Step.String(), Reason: o.Reason, Words: o.Words,
		Began: o.Began.Unix(), TookMS: o.Took.Milliseconds(),
	}
	if o.Live() {
		row.OK = 1
	}
	return row
}

// row is in dir as long as the process does not say otherwise, or none is there: tools make a
// label of it, and who loses a label loses a series.
func (w workerView) row(now time.Time, dir string) stats.Worker {
	row := stats.Worker{
		ID: w.id, State: w.state, LastExit: w.lastExit,
		LastSpawn: w.spawned.Unix(), RespawnCount: uint64(w.spawns),
		Restarts: w.exits.Restarts(),
	}
	row.HarakiriCount = row.Restarts.Harakiri
	if w.lastWhy != 0 {
		row.LastExitReason = w.lastWhy.String()
	}
	if c := w.current; c != nil {
		row.PID, row.Generation = c.pid, c.generation
		row.AvgRT = uint64(c.page.AvgTime().Microseconds())
		row.RSS, row.VSZ = stats.ProcessMemory(c.pid)
		row.Process = c.page.ProcessStats(c.pid)
		row.HeartbeatAgeMS = max(0, now.Sub(w.lastBeat()).Milliseconds()) // two processes' clocks
		if c.phase == Ready {
			row.Accepting = 1
		}
	}
	// Processes overlap in a slot while one replaces another, and all of them count. The
	// pages of a view that is not the newest any more stay readable, and final.
	sum := w.ledger
	var inflight []stats.InFlight
	for _, p := range w.pages {
		n := p.Numbers()
		sum = sum.Plus(n.Total, n.Cores).PlusApps(p.apps, n.Apps)
		inflight = append(inflight, p.InFlight()...)
		row.Upgraded += p.Upgraded()
		row.Queued += int(p.Waiting())
		if w.current != nil && w.current.page.Page == p.Page {
			row.DeltaRequests = n.Total.Requests
		}
	}
	row.Fill(sum.Total, sum.Cores, inflight, now)
	var mounted []stats.AppStats
	if w.current != nil {
		mounted = w.current.page.mounted()
	}
	row.FillApps(sum, w.known, mounted)
	for i := range row.Apps {
		if a := &row.Apps[i]; a.Mounted == 0 {
			a.Chdir = dir
		}
	}
	return row
}

// lastBeat is the last sign of life of the current process. Its spawn counts as one: who
// hangs before the first shows it too.
func (w workerView) lastBeat() time.Time {
	if beat := w.current.page.Heartbeat(); !beat.IsZero() {
		return beat
	}
	return w.spawned
}

// mounted is what only the process itself knows of its apps.
func (p pageView) mounted() []stats.AppStats {
	rows := make([]stats.AppStats, len(p.apps))
	for i, a := range p.apps {
		rows[i] = stats.AppStats{Module: a.Name, Mountpoint: a.Mountpoint, StartupTime: int64(p.Startup(i).Seconds()), Chdir: p.dir}
	}
	return rows
}

func (r *running) page() pageView { return pageView{Page: r.proc.Page(), apps: r.apps, dir: r.dir} }
