// Package cgroup reads what the control groups of this process allow it: the least of the
// limits of its own group and of all groups above it, in version 1 and version 2 of the
// interface, and on systems that have both.
//
// It promises to change nothing, and to take a file that is not there, or that cannot be
// understood, for no limit: a kernel without a controller must not keep a server from
// starting. It does not know what the limits are for. Groups above the root of a container's
// own view are not shown to it, and so not counted.
package cgroup

import (
	"bufio"
	"errors"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Limits are what the process may use. Zero: there is no limit.
type Limits struct {
	CPUs   float64 // at a time
	Memory uint64  // bytes
}

// Read asks the files below root, which is "/" but for tests. Where there are no control
// groups there are no limits and no error.
func Read(root string) (Limits, error) {
	groups, err := readGroups(filepath.Join(root, "proc/self/cgroup"))
	if errors.Is(err, fs.ErrNotExist) {
		return Limits{}, nil
	}
	if err != nil {
		return Limits{}, err
	}
	mounts, err := readMounts(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return Limits{}, err
	}
	var l Limits
	for _, m := range mounts {
		group, ok := groups[m.hierarchy()]
		if !ok {
			continue
		}
		for _, dir := range m.dirs(group) {
			l.tighten(filepath.Join(root, dir), m)
		}
	}
	return l, nil
}

// mount is where a hierarchy can be looked at.
type mount struct {
	root, point string   // what of it, and where
	controllers []string // of version 1; none: version 2
}

// hierarchy is its name in proc/self/cgroup, of which one controller is enough.
func (m mount) hierarchy() string {
	if len(m.controllers) == 0 {
		return ""
	}
	return m.controllers[0]
}

// dirs are those of a group and of all above it that can be seen; none if the mount shows
// another part of the hierarchy.
func (m mount) dirs(group string) (all []string) {
	below, ok := strings.CutPrefix(group, m.root)
	switch {
	case m.root == "/":
		below = group
	case m.root == "/.." || strings.HasPrefix(m.root, "/../"):
		below = "" // it begins above our namespace, which does not tell how far: its top is all that is known
	case !ok || below != "" && below[0] != '/':
		return nil
	}
	for at := path.Clean("/" + below); ; at = path.Dir(at) {
		all = append(all, path.Join(m.point, at))
		if at == "/" {
			return all
		}
	}
}

// readGroups reads lines "number:controllers:path". Version 2 has no controllers.
func readGroups(name string) (map[string]string, error) {
	groups := make(map[string]string)
	err := eachLine(name, func(line string) {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) < 3 {
			return
		}
		for _, c := range strings.Split(fields[1], ",") {
			groups[c] = fields[2]
		}
	})
	return groups, err
}

// readMounts finds the mounts of control groups, see proc_pid_mountinfo(5).
func readMounts(name string) (all []mount, err error) {
	escapes := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	err = eachLine(name, func(line string) {
		place, kind, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(place), strings.Fields(kind)
		if !ok || len(left) < 5 || len(right) < 3 {
			return
		}
		m := mount{root: escapes.Replace(left[3]), point: escapes.Replace(left[4])}
		switch right[0] {
		case "cgroup":
			for _, option := range strings.Split(right[2], ",") {
				if option == "cpu" || option == "memory" {
					m.controllers = append(m.controllers, option)
				}
			}
			if m.controllers == nil {
				return
			}
		case "cgroup2":
		default:
			return
		}
		all = append(all, m)
	})
	return all, err
}

func eachLine(name string, f func(string)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f(lines.Text())
	}
	return lines.Err()
}

// tighten applies the limits of one group.
func (l *Limits) tighten(dir string, m mount) {
	if len(m.controllers) == 0 {
		quota, period, _ := strings.Cut(word(dir, "cpu.max"), " ")
		l.cpus(quota, period)
		l.memory(word(dir, "memory.max"))
		l.memory(word(dir, "memory.high")) // above it the kernel makes the process wait
		return
	}
	if slices.Contains(m.controllers, "cpu") {
		l.cpus(word(dir, "cpu.cfs_quota_us"), word(dir, "cpu.cfs_period_us"))
	}
	if slices.Contains(m.controllers, "memory") {
		l.memory(word(dir, "memory.limit_in_bytes"))
	}
}

// word is what a file says, "" if it is not there.
func word(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}

// cpus takes no number, "max" for example, for no limit, and -1 as well.
func (l *Limits) cpus(quota, period string) {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 || math.IsInf(q/p, 0) {
		return
	}
	if l.CPUs == 0 || q/p < l.CPUs {
		l.CPUs = q / p
	}
}

// unlimited is what version 1 says for no limit, less what it rounds to a page.
const unlimited = math.MaxInt64 - 1<<20

func (l *Limits) memory(bytes string) {
	n, err := strconv.ParseUint(bytes, 10, 64)
	if err != nil || n == 0 || n >= unlimited {
		return
	}
	if l.Memory == 0 || n < l.Memory {
		l.Memory = n
	}
}
