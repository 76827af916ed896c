package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"golang.org/x/sys/unix"
)

// legacyEnv marks a program that was executed in the place of a master; its value is
// the descriptor of the legacy. rehearsalEnv marks one that is only asked whether it
// would understand it.
const (
	legacyEnv    = "OSTLER_LEGACY"
	rehearsalEnv = "OSTLER_REHEARSAL"
)

// legacyVersion is raised by every change that an older or a newer program would
// misunderstand. Only programs of the same version take each other's place: see
// docs/decisions/018.
const legacyVersion = 1

// legacy is what a master leaves to the program that takes its place in the same
// process. It has secrets (the environment of the workers), and so is in memory that
// no path leads to.
type legacy struct {
	Version int
	Build   string // of the program that leaves it

	File       string          // the configuration file, "" for the embedded default
	Executable string          // where reloads look
	Config     json.RawMessage // as the new program understands it

	Master  json.RawMessage
	Pidfile int // its descriptor, -1: none
	Bound   map[string]master.BoundLegacy
	Touched map[string]touched
	Metrics []byte

	Keeper, KeeperFD int // who keeps the signals, and what ends it
	Shed             uint64
}

// succeeds reports whether this process is to take a master's place.
func succeeds() bool {
	_, ok := os.LookupEnv(legacyEnv)
	return ok
}

// write puts the legacy into a file that cannot be changed any more.
func (l *legacy) write() (*os.File, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	f, err := scoreboard.Nameless("ostler-legacy")
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(text); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, scoreboard.Seal(f)
}

// readLegacy takes over what the program before left.
func readLegacy() (*legacy, error) {
	value := os.Getenv(legacyEnv)
	os.Unsetenv(legacyEnv)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is no descriptor: do not set %[1]s by hand", legacyEnv, value)
	}
	f := os.NewFile(uintptr(fd), "legacy")
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		return nil, fmt.Errorf("read what the program before left on descriptor %d: %w", fd, err)
	}
	var l legacy
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("understand what the program before left: %w", err)
	}
	if l.Version != legacyVersion {
		return nil, fmt.Errorf("the program before left a legacy of version %d, this one understands %d", l.Version, legacyVersion)
	}
	return &l, nil
}

// takeOver is the life of a program that was executed in the place of a master.
func takeOver(ctx context.Context, apps []App) error {
	_, rehearsal := os.LookupEnv(rehearsalEnv)
	os.Unsetenv(rehearsalEnv)
	l, err := readLegacy()
	if err != nil {
		return err
	}
	var cfg config.Config
	if err := json.Unmarshal(l.Config, &cfg); err != nil {
		return fmt.Errorf("understand the configuration that the program before left: %w", err)
	}
	if rehearsal {
		return confirm(l)
	}
	nameProcess()
	signals := newSignalSource()
	defer signals.end()
	_ = adoptFile(l.KeeperFD, "keeper").Close()
	master.ReapKeeper(l.Keeper)
	return runMaster(ctx, statement{Raw: l.Config, Config: cfg}, Options{
		Config: l.File, Apps: apps, Executable: l.Executable,
		Signals: signals.all, source: signals, exits: true, legacy: l,
		getenv: os.Getenv,
	})
}

// understood is the answer to a rehearsal. A program that just ends well has understood
// nothing.
const understood = "ostler: understood"

// confirm answers a rehearsal.
func confirm(l *legacy) error {
	if err := master.CheckState(l.Master); err != nil {
		return err
	}
	_, err := fmt.Println(understood)
	return err
}

// nameProcess gives the process its name back: it was executed by the number of a
// descriptor, and pgrep and ps would show that.
func nameProcess() {
	if runtime.GOOS == "linux" {
		_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	}
}

// rehearse asks a program whether it would understand a legacy: what it says now it
// would otherwise say when nobody is left to go on.
func rehearse(ctx context.Context, program *master.Executable, l *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, rehearsalLimit)
	defer cancel()
	e := errand{path: program.Path(), argv: os.Args, env: []string{legacyEnv + "=3", rehearsalEnv + "=1"}, files: []*os.File{l}}
	answer, words, err := e.run(ctx)
	if err == nil && strings.TrimSpace(answer) != understood {
		err = fmt.Errorf("it answers %.100q", answer)
	}
	if err != nil {
		return fmt.Errorf("the new program would not take over from this one: %w%s", err, quoted(words))
	}
	return nil
}

const rehearsalLimit = 10 * time.Second

// keepFile adds the descriptor of a file to those that stay open.
func keepFile(f *os.File, keep *[]int) int {
	fd := int(f.Fd())
	*keep = append(*keep, fd)
	return fd
}

// adoptFile takes over a descriptor that the program before left.
func adoptFile(fd int, name string) *os.File {
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}
