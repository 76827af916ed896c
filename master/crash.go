package master

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
)

// crash is what the machine knows of a process that died without being asked to go.
type crash struct {
	slot, gen, pid int
	build          string
	spawned, died  time.Time
	ready          bool
	why            stats.Exit
	how, words     string
}

// report makes a crash known: which requests died with the process its scoreboard tells,
// which outlives it.
func (l *loop) report(a actReport) {
	r, c := l.procs[a.inc], a.crash
	page := r.proc.Page()
	usage := page.Usage()
	s := stats.Crash{
		Worker: c.slot, PID: c.pid, Generation: c.gen, Build: c.build,
		Died: c.died.Unix(), UptimeMS: c.died.Sub(c.spawned).Milliseconds(),
		Reason: c.why.String(), Exit: c.how, Words: c.words,
		Requests: page.Numbers().Total.Requests, InFlight: stats.RequestsOf(page.InFlight(), c.died),
		MaxRSS: r.maxRSS, Heap: usage.Heap, Goroutines: usage.Goroutines,
	}
	if c.ready {
		s.Ready = 1
	}
	for _, q := range s.InFlight {
		l.log.put(hclog.Warn, "request died with its worker", "slot", c.slot, "pid", c.pid,
			"method", q.Method, "path", q.Path, "peer", q.Peer, "age", time.Duration(q.AgeMS)*time.Millisecond)
	}
	if l.options.CrashDir != "" {
		s.File = crashFile(l.options.CrashDir, c)
		l.others.Go(func() { l.keepReport(s) })
	}
	l.crashes = slices.Clip(append([]stats.Crash{s}, l.crashes...))
	l.crashes = l.crashes[:min(len(l.crashes), stats.MaxCrashes)]
}

func crashFile(dir string, c crash) string {
	return filepath.Join(dir, fmt.Sprintf("crash-%s-worker%d-%d.txt", c.died.UTC().Format("20060102T150405.000"), c.slot, c.pid))
}

// keepReport writes a crash into a file of its own.
func (l *loop) keepReport(s stats.Crash) {
	if err := os.WriteFile(s.File, []byte(reportText(s)), 0o640); err != nil {
		l.master.mail.post(note{complain: fmt.Errorf("write the report of a crash: %w", err)})
	}
}

func reportText(s stats.Crash) string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker %d, pid %d, generation %d, build %s\n", s.Worker, s.PID, s.Generation, s.Build)
	fmt.Fprintf(&b, "%s (%s) at %s, %s after its launch\n", s.Exit, s.Reason,
		time.Unix(s.Died, 0).UTC().Format(time.RFC3339), time.Duration(s.UptimeMS)*time.Millisecond)
	fmt.Fprintf(&b, "%d requests answered, at most %d MiB, heap %d MiB, %d goroutines\n", s.Requests, s.MaxRSS>>20, s.Heap>>20, s.Goroutines)
	fmt.Fprintf(&b, "\nrequests that died with it: %d\n", len(s.InFlight))
	for _, q := range s.InFlight {
		fmt.Fprintf(&b, "  %s %s, from %s, for %s\n", q.Method, q.Path, q.Peer, time.Duration(q.AgeMS)*time.Millisecond)
	}
	if s.Words != "" {
		fmt.Fprintf(&b, "\n%s\n", s.Words)
	}
	return b.String()
}

// heapProfile names the file for what a worker holds that is replaced because of its memory.
func (l *loop) heapProfile(inc incarnation) string {
	p := l.machine.procs[inc]
	if l.options.CrashDir == "" || p.ending != stats.ExitMemory {
		return ""
	}
	name := fmt.Sprintf("heap-%s-worker%d-%d.pprof", l.master.now().UTC().Format("20060102T150405.000"), p.slot.id, p.pid)
	return filepath.Join(l.options.CrashDir, name)
}
