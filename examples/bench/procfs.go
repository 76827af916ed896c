//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a process and all its descendants: a server is its master and its workers.
func tree(root int) ([]int, error) {
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		pid, parent, err := parseStat(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		children[parent] = append(children[parent], pid)
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	slices.Sort(pids)
	return pids, nil
}

// parseStat takes the pid and the parent's out of /proc/pid/stat. The name between them is
// in parentheses and may contain anything, parentheses too.
func parseStat(text string) (pid, parent int, err error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, 0, fmt.Errorf("%q is not a line of /proc/pid/stat", text)
	}
	rest := strings.Fields(text[end+1:])
	if len(rest) < 2 {
		return 0, 0, fmt.Errorf("%q ends before the parent's pid", text)
	}
	pid, first := strconv.Atoi(strings.TrimSpace(text[:open]))
	parent, second := strconv.Atoi(rest[1])
	return pid, parent, errors.Join(first, second)
}

// usage is what processes have used since they began.
type usage struct {
	cpu      time.Duration
	switches uint64 // voluntary: how often a thread went to sleep
}

func (u usage) since(before usage) usage {
	return usage{u.cpu - before.cpu, u.switches - before.switches}
}

// used sums over the processes. A process that is gone is an error: its numbers are lost.
func used(pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		cpu, err := cpuTime(pid)
		if err != nil {
			return usage{}, err
		}
		switches, err := voluntarySwitches(pid)
		if err != nil {
			return usage{}, err
		}
		sum.cpu += cpu
		sum.switches += switches
	}
	return sum, nil
}

// cpuTime reads the process's own CPU clock (clock_getcpuclockid): nanoseconds of all its
// threads, also of those that have ended. /proc/pid/stat has the same sum in ticks of 10 ms;
// /proc/pid/schedstat has nanoseconds, but of the main thread only.
func cpuTime(pid int) (time.Duration, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED: user and system time as the scheduler counts it
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// voluntarySwitches sums over the threads that live. None of the servers ends threads while
// it serves, so nothing is lost between two readings.
func voluntarySwitches(pid int) (uint64, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	if len(tasks) == 0 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	var sum uint64
	for _, path := range tasks {
		n, err := numberIn(path, "voluntary_ctxt_switches:")
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// memory is what processes have in RAM. PSS counts a page that n processes share as 1/n, so
// its sum is honest; RSS counts it n times.
type memory struct{ pss, rss uint64 } // bytes

func resident(pids []int) (memory, error) {
	var sum memory
	for _, pid := range pids {
		path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
		for key, into := range map[string]*uint64{"Pss:": &sum.pss, "Rss:": &sum.rss} {
			kilobytes, err := numberIn(path, key)
			if err != nil {
				return memory{}, err
			}
			*into += kilobytes << 10
		}
	}
	return sum, nil
}

// numberIn finds the line that begins with key and returns the number behind it.
func numberIn(path, key string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := number(text, key)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

func number(text []byte, key string) (uint64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), key); found {
			return strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("no line begins with %q", key)
}
