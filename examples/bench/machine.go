//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is where the figures are from, so that nobody takes them for another machine's.
type machine struct {
	cpu, kernel, system string
	memory              uint64 // bytes
	load                string // averages before the start: what else ran beside the benchmark
	versions            []version
}

type version struct{ what, version string }

// describe asks the programs themselves. A program that no chosen peer needs may be absent.
func describe(ctx context.Context, dir string) (machine, error) {
	m := machine{}
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.cpu = fmt.Sprintf("%d x %s", runtime.NumCPU(), valueOf(string(cpuinfo), "model name"))
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return m, err
	}
	m.system = strings.Trim(valueOf(string(release), "PRETTY_NAME"), `"`)
	kilobytes, err := numberIn("/proc/meminfo", "MemTotal:")
	if err != nil {
		return m, err
	}
	m.memory = kilobytes << 10
	averages, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return m, err
	}
	m.load = strings.Join(strings.Fields(string(averages))[:3], ", ")
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return m, err
	}
	m.kernel = unix.ByteSliceToString(u.Release[:])
	m.versions = append(m.versions, version{"ostler", commit(ctx)}, version{"Go", runtime.Version()}, version{"fasthttp", fasthttpVersion(ctx, dir)})
	for _, program := range [][]string{{"nginx", "-v"}, {"uwsgi", "--version"}, {"gunicorn", "--version"},
		{"/usr/bin/python3", "--version"}, {"wrk", "-v"}, {"strace", "--version"}, {"gcc", "--version"}} {
		// Some print it to stderr, and wrk exits with 1 after it.
		if text, _ := exec.CommandContext(ctx, program[0], program[1:]...).CombinedOutput(); len(text) > 0 {
			first, _, _ := strings.Cut(string(text), "\n")
			m.versions = append(m.versions, version{filepath.Base(program[0]), numberOf(first)})
		}
	}
	return m, nil
}

// numberOf cuts a version's number out of what a program says about itself.
func numberOf(text string) string {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" ()/,", r) }) {
		if strings.Contains(word, ".") && word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return text
}

// valueOf is what stands behind "key :" or "key=" in the first such line.
func valueOf(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, key); found {
			return strings.TrimSpace(strings.TrimLeft(rest, " \t:="))
		}
	}
	return "unknown"
}

func commit(ctx context.Context) string {
	id, err := run(ctx, "", "git", "describe", "--always", "--dirty", "--exclude=*")
	if err != nil {
		return "not a git checkout"
	}
	return "commit " + strings.TrimSpace(id)
}

// fasthttpVersion is asked of the built program: it is what ran.
func fasthttpVersion(ctx context.Context, dir string) string {
	text, err := run(ctx, "", "go", "version", "-m", dir+"/bin/fasthttp")
	if err != nil {
		return "not built"
	}
	for line := range strings.Lines(text) {
		if cells := strings.Fields(line); len(cells) > 2 && cells[1] == "github.com/valyala/fasthttp" {
			return cells[2]
		}
	}
	return "unknown"
}
