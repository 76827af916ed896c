package worker

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
)

// writeHeap writes what the process holds in memory, for go tool pprof.
func (l *life) writeHeap(path string) {
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err == nil {
		err = pprof.Lookup("heap").WriteTo(f, 0)
		_ = f.Close()
	}
	if err != nil {
		l.log.Warn("heap profile not written: the folder of crash-dir has to be writable for the workers", "error", err)
		return
	}
	l.log.Info("heap profile written", "file", path)
}

// shownLeaks is how many places are named.
const shownLeaks = 5

// reportLeaks names what still runs when the application is closed. In a process that goes
// on it would pile up.
func (l *life) reportLeaks() {
	var text bytes.Buffer
	if pprof.Lookup("goroutine").WriteTo(&text, 1) != nil {
		return
	}
	groups := leaks(text.String())
	if len(groups) == 0 {
		return
	}
	total := 0
	var places []string
	for _, g := range groups {
		total += g.count
		places = append(places, fmt.Sprintf("%d in %s", g.count, g.place))
	}
	if len(places) > shownLeaks {
		places = append(places[:shownLeaks], fmt.Sprintf("%d places more", len(groups)-shownLeaks))
	}
	l.log.Warn("goroutines of the application are left after it was closed", "goroutines", total, "where", strings.Join(places, "; "))
}

// leak is a number of goroutines that stand at the same place.
type leak struct {
	count int
	place string
}

// leaks reads a goroutine profile of debug level 1: for each stack a line with how many
// have it, then a line for each frame, the innermost first. Those that are the worker's own
// or the runtime's are left out. The most frequent come first.
func leaks(profile string) []leak {
	var found []leak
	var now leak
	ours := true
	end := func() {
		if !ours && now.place != "" {
			found = append(found, now)
		}
	}
	lines := bufio.NewScanner(strings.NewReader(profile))
	for lines.Scan() {
		line := lines.Text()
		if n := 0; strings.Contains(line, " @ ") {
			end()
			_, _ = fmt.Sscanf(line, "%d @", &n)
			now, ours = leak{count: n}, false
			continue
		}
		fields := strings.Fields(line) // # 0x... package.function+0x... file:line
		if len(fields) < 3 || fields[0] != "#" {
			continue
		}
		function, _, _ := strings.Cut(fields[2], "+0x")
		ours = ours || own(function)
		if now.place == "" && !standard(function) {
			now.place = function
		}
	}
	end()
	slices.SortStableFunc(found, func(a, b leak) int { return b.count - a.count })
	return found
}

// own reports whether a goroutine with such a frame is no application's.
func own(function string) bool {
	for _, prefix := range [...]string{"github.com/seed17661985/ostler/worker", "github.com/seed17661985/ostler/server/uwsgi", "os/signal.loop", "runtime/pprof."} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// standard reports whether a function is of the standard library, whose paths have no dot
// in their first part: what called it says more.
func standard(function string) bool {
	first, _, found := strings.Cut(function, "/")
	return !strings.Contains(first, ".") && found || !found && isStandardPackage(first)
}

func isStandardPackage(function string) bool {
	name, _, _ := strings.Cut(function, ".")
	return slices.Contains([]string{"runtime", "sync", "time", "internal", "syscall", "os", "io", "net", "bufio", "context", "reflect"}, name)
}
