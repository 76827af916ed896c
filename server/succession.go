package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/seed17661985/ostler/master"
)

// succession is about the program that takes the master's place after a reload.
//
//	reload done ─▶ wish ─▶ the master rests ─▶ operators are answered, signals kept
//	   ─▶ freeze ─▶ rehearsal ─▶ execution of the new program: takeOver
//
// Whatever fails, the master that there is goes on: it only is an older build.
type succession struct {
	wishes chan struct{} // has room for one

	newest atomic.Pointer[candidate] // the program that was loaded last
}

// candidate is what matters of a program that may be the next master.
type candidate struct {
	other  bool // than the one that is running
	legacy int  // statement.Legacy
}

const (
	// handOverLimit bounds what the operators and signals may take that came before.
	handOverLimit = 5 * time.Second

	// Between attempts: something had begun just before the freeze.
	shortestPause = 100 * time.Millisecond
	longestPause  = 10 * time.Second
)

func newSuccession() succession { return succession{wishes: make(chan struct{}, 1)} }

// wish asks for a successor, if there is reason for one.
func (s *succession) wish() {
	select {
	case s.wishes <- struct{}{}:
	default:
	}
}

// succeed has other programs take this one's place until ctx ends.
func (i *instance) succeed(ctx context.Context) {
	for {
		select {
		case <-i.succession.wishes:
			i.attempt(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// attempt tries until it is known why not.
func (i *instance) attempt(ctx context.Context) {
	next := i.succession.newest.Load()
	if next == nil || !next.other {
		return
	}
	if reason := i.cannotSucceed(next); reason != "" {
		i.log.Warn("the master stays the program it was", "reason", reason)
		return
	}
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		if i.master.AwaitRest(ctx) != nil || i.systemd.await(ctx) != nil {
			return
		}
		err := i.handOver(ctx)
		if ctx.Err() != nil {
			return // the master ends
		}
		if !errors.Is(err, master.ErrRestless) {
			i.log.Error("the master stays the program it was", "error", err)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// cannotSucceed says what keeps any program from taking over.
func (i *instance) cannotSucceed(next *candidate) string {
	switch {
	case i.opts.source == nil:
		return "this process is not its own: it was not started by server.Main"
	case next.legacy != legacyVersion:
		return fmt.Sprintf("the new program understands version %d of what a master leaves, this one version %d: stop and start to have it as master", next.legacy, legacyVersion)
	}
	return ""
}

// handOver returns only if it fails; then everything is as before.
func (i *instance) handOver(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, handOverLimit)
	defer cancel()
	defer i.goOnAnswering()
	if err := i.holdEndpoints(limit); err != nil {
		return fmt.Errorf("%w: an operator is being answered", master.ErrRestless)
	}
	i.watch.stop()
	defer i.watch.begin(ctx, &i.serving)
	keeper, err := master.KeepSignals()
	if err != nil {
		return err
	}
	defer keeper.Release()
	if err := i.opts.source.hold(ctx); err != nil {
		return err // the master ends
	}
	defer i.opts.source.listen()
	frozen, err := i.master.Freeze(limit)
	if err != nil {
		return err
	}
	defer frozen.Thaw()
	if err := i.systemd.handOver(limit, rehearsalLimit); err != nil {
		return fmt.Errorf("%w: systemd is being told", master.ErrRestless)
	}
	return i.execute(ctx, frozen, keeper)
}

func (i *instance) goOnAnswering() {
	if err := i.openEndpoints(); err != nil {
		i.log.Error("operators are not answered any more", "error", err)
	}
}

// execute puts the program of the live generation in the place of this one.
func (i *instance) execute(ctx context.Context, frozen *master.Frozen, keeper *master.Keeper) error {
	l, keep, err := i.legacy(frozen)
	if err != nil {
		return err
	}
	l.Keeper, l.KeeperFD = keeper.PID, keeper.FD()
	keep = append(keep, l.KeeperFD)
	file, err := l.write()
	if err != nil {
		return fmt.Errorf("write what the next program has to know: %w", err)
	}
	defer file.Close()
	if err := rehearse(ctx, frozen.Program, file); err != nil {
		return err
	}
	fd := keepFile(file, &keep)
	env := append(os.Environ(), fmt.Sprintf("%s=%d", legacyEnv, fd))
	return fmt.Errorf("execute %s: %w", i.opts.Executable, master.Exec(frozen.Program.Path(), os.Args, env, keep))
}

// legacy describes this instance, and says which descriptors have to stay open.
func (i *instance) legacy(frozen *master.Frozen) (*legacy, []int, error) {
	l := &legacy{
		Version: legacyVersion, Build: buildID(), File: i.opts.Config, Executable: i.opts.Executable,
		Config: frozen.Config, Master: frozen.State, Pidfile: -1,
		Bound: make(map[string]master.BoundLegacy), Touched: i.watch.files, Shed: i.shed.Load(),
	}
	keep := frozen.FDs
	if i.pid != nil {
		l.Pidfile = keepFile(i.pid.file, &keep)
	}
	for what, b := range i.bound {
		l.Bound[what] = b.Legacy()
		keep = append(keep, b.FD())
	}
	var err error
	l.Metrics, err = i.metrics.save()
	return l, keep, err
}
