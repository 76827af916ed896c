//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// extra is a measurement that is not a contest.
type extra struct {
	name string
}

func extras() []extra { return nil }

// bench runs what the options ask for and prints it to out.
func bench(ctx context.Context, o options, out io.Writer) error {
	chosen := pick(peers(), o.peers)
	if err := needed(chosen); err != nil {
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
	f, err := newField(ctx, dir, o.workers, chosen)
	defer f.close()
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	for _, c := range o.contests() {
		result, err := f.compete(ctx, c, o.rounds, say)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n\n%s\n", c, result.table(chosen))
	}
	return nil
}
