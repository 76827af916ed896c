//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// errMissed ends the program with an error when a goal was not reached; by then everything
// is printed and written.
var errMissed = errors.New("not all that must be shown was shown")

// report is all that a run found.
type report struct {
	options  options
	machine  machine
	began    time.Time
	took     time.Duration
	outcomes []outcome
	findings []finding
}

// bench runs what the options ask for, prints it to out and writes the document.
func bench(ctx context.Context, o options, out io.Writer) error {
	r := report{options: o, began: time.Now()}
	chosen := pick(peers(), o.peers)
	if err := needed(chosen, o.also); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir, chosen); err != nil {
		return err
	}
	if r.machine, err = describe(ctx, dir); err != nil {
		return err
	}
	// The contests end before the rest begins: there, nothing else may run on the machine.
	err = r.compete(ctx, dir, chosen)
	if err == nil {
		err = r.explore(ctx, dir)
	}
	if err != nil {
		// Twelve minutes of figures are worth a look, but half a document is not one.
		_, printErr := io.WriteString(out, r.results(chosen))
		return errors.Join(err, printErr)
	}
	r.took = time.Since(r.began)
	return r.publish(out, chosen)
}

// compete runs the contests, all with the same running servers.
func (r *report) compete(ctx context.Context, dir string, chosen []peer) error {
	contests := r.options.contests()
	if len(contests) == 0 {
		return nil
	}
	progress("starting %s", strings.Join(names(chosen), ", "))
	f, err := newField(ctx, dir, "field", r.options.workers, chosen)
	defer f.close()
	if err != nil {
		return err
	}
	for _, c := range contests {
		result, err := f.compete(ctx, c, r.options.rounds)
		if err != nil {
			return errors.Join(err, f.nginxWords())
		}
		r.outcomes = append(r.outcomes, result)
	}
	return nil
}

// explore makes the further measurements.
func (r *report) explore(ctx context.Context, dir string) error {
	if len(r.options.also) == 0 {
		return nil
	}
	l := lab{built: dir, workers: r.options.workers, idle: r.options.idle}
	for _, e := range pick(extras(), r.options.also) {
		progress("%s", e.heading)
		found, err := e.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		found.heading = e.heading
		r.findings = append(r.findings, found)
	}
	return nil
}

// publish prints and writes even what is no credit to ostler, and only then errs for it.
func (r *report) publish(out io.Writer, chosen []peer) error {
	if _, err := io.WriteString(out, r.results(chosen)); err != nil {
		return err
	}
	if r.options.output != "" {
		if err := os.WriteFile(r.options.output, []byte(r.document(chosen)), 0o644); err != nil {
			return err
		}
	}
	for _, c := range r.claims() {
		if !c.holds {
			return errMissed
		}
	}
	return nil
}

// claims are all goals that this run could judge.
func (r *report) claims() []claim {
	all := claims(r.outcomes)
	for _, found := range r.findings {
		all = append(all, found.claims...)
	}
	return all
}

// progress tells whoever waits; results go to standard output only.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
