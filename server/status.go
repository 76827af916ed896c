package server

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// printStatus is `status` for a person: the master in one line, then a line for
// each worker.
func printStatus(w io.Writer, s stats.Snapshot) error {
	fmt.Fprintf(w, "%s: pid %d, generation %d, build %s, %d of %d workers ready%s\n",
		s.State, s.PID, s.Generation, s.Build, s.Ready, s.Wanted, span(s))
	if s.LastReload != nil {
		fmt.Fprintln(w, lastReload(*s.LastReload))
	}
	for _, sock := range s.Sockets {
		fmt.Fprintf(w, "%s %s: %d of %d waiting\n", sock.Proto, sock.Name, sock.Queue, sock.MaxQueue)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORKER\tPID\tSTATE\tGEN\tBUSY\tREQUESTS\tERRORS\tAVG\tRSS\tSPAWNS\tLAST EXIT")
	for n, wk := range s.Workers {
		busy := 0
		for _, c := range wk.Cores {
			busy += c.InRequest
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%d\t%d/%d\t%d\t%d\t%s\t%d MiB\t%d\t%s\n",
			n+1, wk.PID, stateOf(wk), wk.Generation, busy, len(wk.Cores), wk.Requests, wk.Exceptions,
			time.Duration(wk.AvgRT)*time.Microsecond, wk.RSS>>20, wk.RespawnCount, orDefault(wk.LastExit, "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printCrashes(w, s.Crashes)
	printOverruns(w, s.Overruns)
	return printApps(w, s)
}

// span says between which numbers of workers the load decides, if it does.
func span(s stats.Snapshot) string {
	if s.WantedLeast == s.WantedMost {
		return ""
	}
	return fmt.Sprintf(" (%d to %d by load)", s.WantedLeast, s.WantedMost)
}

// printCrashes has a line for each crash, and the words of the last one.
func printCrashes(w io.Writer, crashes []stats.Crash) {
	for n, c := range crashes {
		fmt.Fprintf(w, "crash: %s, worker %d, pid %d, generation %d %s after %s, %d requests died with it\n",
			time.Unix(c.Died, 0).Format(time.DateTime), c.Worker, c.PID, c.Generation, c.Exit,
			(time.Duration(c.UptimeMS) * time.Millisecond).Round(time.Second), len(c.InFlight))
		if n > 0 {
			continue
		}
		for _, q := range c.InFlight {
			fmt.Fprintf(w, "    %s %s, for %s\n", q.Method, q.Path, time.Duration(q.AgeMS)*time.Millisecond)
		}
		if c.Words != "" {
			fmt.Fprintln(w, strings.TrimPrefix(firstWords(c.Words), "\n"))
		}
	}
}

// printOverruns has a line for each request that took too long, and the place where the last one
// stood at last.
func printOverruns(w io.Writer, overruns []stats.Overrun) {
	for n, o := range overruns {
		fmt.Fprintf(w, "slow: %s, worker %d, pid %d, request %d: %s %s used up %d %% of %s\n",
			time.Unix(o.Start, 0).Format(time.DateTime), o.Worker, o.PID, o.ID, o.Method, o.Path, o.Percent, time.Duration(o.LimitMS)*time.Millisecond)
		if n == 0 && len(o.Looks) > 0 {
			fmt.Fprintln(w, strings.TrimPrefix(firstWords(o.Looks[len(o.Looks)-1].Stack), "\n"))
		}
	}
}

// lastReload says in its first line what happened; the program's own words follow.
func lastReload(r stats.LastReload) string {
	what := fmt.Sprintf("last reload: %s, generation %d, took %s",
		time.Unix(r.Began, 0).Format(time.DateTime), r.Generation, time.Duration(r.TookMS)*time.Millisecond)
	if r.OK != 0 {
		return what
	}
	reason, more, _ := strings.Cut(r.Reason, "\n")
	return fmt.Sprintf("%s, rejected at %s: %s%s", what, r.Step, reason, firstWords(orDefault(r.Words, more)))
}

// shownWords is how many lines status shows of what a program printed; --json has all.
const shownWords = 12

func firstWords(words string) string {
	lines := strings.SplitN(strings.TrimSpace(words), "\n", shownWords+1)
	if len(lines) > shownWords {
		lines[shownWords] = "... (all of it: status --json)"
	}
	return strings.TrimRight("\n    "+strings.Join(lines, "\n    "), " \n")
}

// silence is how long a worker, which gives a sign of life each second, may owe one.
const silence = 5 * time.Second

func stateOf(w stats.Worker) string {
	if age := time.Duration(w.HeartbeatAgeMS) * time.Millisecond; age > silence {
		return fmt.Sprintf("%s (silent for %s)", w.State, age.Round(time.Second))
	}
	return w.State
}

// printApps has a line for each app that is mounted, if there are several.
func printApps(w io.Writer, s stats.Snapshot) error {
	sums := map[int]stats.AppStats{}
	var unmounted uint64
	for _, wk := range s.Workers {
		unmounted += wk.Unmounted
		for _, a := range wk.Apps {
			sum := sums[a.ID]
			a.Requests += sum.Requests
			a.Exceptions += sum.Exceptions
			a.Mounted = max(a.Mounted, sum.Mounted)
			sums[a.ID] = a
		}
	}
	if len(sums) < 2 && unmounted == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APP\tPATH\tREQUESTS\tERRORS")
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		a := sums[id]
		path := orDefault(a.Mountpoint, "/")
		if a.Mounted == 0 {
			path += " (not any more)"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", a.Module, path, a.Requests, a.Exceptions)
	}
	if unmounted > 0 {
		fmt.Fprintf(t, "(none)\t404\t%d\t0\n", unmounted)
	}
	return t.Flush()
}
