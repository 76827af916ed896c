//go:build linux

// Command bench measures ostler against other ways to reach a Go handler, and against uWSGI
// and gunicorn. It builds and starts the servers, drives them by turns with wrk, and prints
// medians and ratios.
//
// It promises: every server gave the right bytes before it was measured; one error of any
// kind ends the run; the servers that a table compares were measured by turns in one run.
// Absolute figures are the machine's of that hour, only the ratios mean something elsewhere.
//
//	main      options ── bench ─┬─ build      programs of the peers, bodies
//	                            ├─ field      servers and nginx, started and checked
//	                            ├─ rounds     contests: wrk by turns, procfs before and after
//	                            └─ report     tables and docs/benchmarks.md
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// launch makes children die with the thread that started them: it has to be one that
	// lives as long as the process.
	runtime.LockOSThread()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	o, err := parseOptions(os.Args[1:])
	if err == nil {
		err = bench(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
