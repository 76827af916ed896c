//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// systemCalls counts what one worker asks of the kernel for a request. It has one CPU, as
// each of as many workers as CPUs has, which is the default.
func systemCalls(ctx context.Context, l lab) (finding, error) {
	p := peer{name: "ostler-traced", front: overUWSGI, commands: onOneCPU(ostler("socket", 1))}
	f, err := newField(ctx, l.built, "traced", l.workers, []peer{p})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	pids, err := workersOf(f.servers[0])
	if err != nil {
		return finding{}, err
	}
	w := hello()
	counts, err := f.strace(ctx, pids, func() error {
		return inTurn(ctx, sequential, func() error { return askUWSGI(ctx, f.servers[0].sock[""], w) })
	})
	if err != nil {
		return finding{}, err
	}
	// Requests go straight to the socket: nginx would add nothing but time between them.
	var g grid
	g.add("system call", "calls", "per request")
	total := 0
	for _, c := range counts {
		total += c.calls
		g.add(c.name, strconv.Itoa(c.calls), fmt.Sprintf("%.3f", float64(c.calls)/sequential))
	}
	g.add("all", strconv.Itoa(total), fmt.Sprintf("%.3f", float64(total)/sequential))
	return finding{
		text: fmt.Sprintf("`strace -f -c` on the one worker, on one CPU, while %d small requests came one after the other, straight to the uwsgi socket. "+
			"All its threads count, the Go runtime's own too.\n\n%s", sequential, g.String()),
		claims: []claim{atMost("system calls per request, all threads of the worker", float64(total)/sequential, "%.2f", 5)},
	}, nil
}

type count struct {
	name  string
	calls int
}

// strace counts the calls of processes and all their threads while work is done.
func (f *field) strace(ctx context.Context, pids []int, work func() error) ([]count, error) {
	table := filepath.Join(f.dir, "strace.txt")
	args := []string{"strace", "-f", "-c", "-o", table}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	tracer, err := launch(f.dir, "strace", nil, args...)
	if err != nil {
		return nil, err
	}
	defer tracer.stop()
	err = tracer.until(ctx, func() error { // "Process 12 attached with 7 threads", or "attached" for one
		if n := strings.Count(tracer.tail(), " attached"); n < len(pids) {
			return fmt.Errorf("it is attached to %d of the processes %v", n, pids)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := work(); err != nil {
		return nil, err
	}
	// INT makes it let go and print.
	if err := tracer.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return nil, errors.New("strace ended by itself: " + tracer.tail())
	}
	<-tracer.done
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	return parseStrace(string(text))
}

// parseStrace takes name and calls out of the table of strace -c: the columns are
// % time, seconds, usecs/call, calls, errors (empty if none), syscall.
func parseStrace(text string) ([]count, error) {
	var counts []count
	rule := 0 // lines of dashes seen: the table is between the first and the second
	// Other lines may stand before it: strace says there what it attached to.
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		cells := strings.Fields(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "------"):
			rule++
		case rule == 1 && len(cells) >= 5:
			calls, err := strconv.Atoi(cells[3])
			if err != nil {
				return nil, fmt.Errorf("strace counted %q: %w", lines.Text(), err)
			}
			counts = append(counts, count{cells[len(cells)-1], calls})
		}
	}
	if rule < 2 {
		return nil, fmt.Errorf("strace printed no complete table: %q", text)
	}
	slices.SortStableFunc(counts, func(a, b count) int { return b.calls - a.calls })
	return counts, nil
}
