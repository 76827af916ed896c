//go:build linux

package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options say which part of the benchmark to run, how long, and where to write it.
type options struct {
	rounds, workers int
	idle            int // connections of the keepalive measurement
	duration        time.Duration
	cases, peers    []string // none: all
	conns           []int
	also            []string // the measurements besides the contests
	output          string   // document to write; empty: none
	part            bool     // less than the whole benchmark was asked for
	args            []string // as given
}

func parseOptions(args []string) (options, error) {
	o := options{args: args}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; the tables show medians over them")
	flags.IntVar(&o.workers, "workers", 2, "worker processes of each server, or CPUs of a server that is one process")
	flags.IntVar(&o.idle, "idle", 10000, "connections of the measurement keepalive")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "load in each measurement of hello, whole seconds; half of it for the larger bodies")
	flags.StringVar(&o.output, "o", "", "also write the document to this `file`")
	cases := flags.String("case", "", "only these workloads, comma-separated: "+strings.Join(names(workloads()), ", "))
	chosen := flags.String("peer", "", "only these servers, comma-separated: "+strings.Join(names(peers()), ", "))
	conns := flags.String("conns", "", "connections, comma-separated (default 1,32,256 for hello, 32 for the others)")
	also := flags.String("also", "", "further measurements, comma-separated: "+strings.Join(names(extras()), ", ")+" (default: all if no -case, -conns or -peer is given)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.workers < 1 || o.duration < time.Second || o.duration%time.Second != 0 {
		return o, fmt.Errorf("rounds and workers are at least 1, duration is 1s or more whole seconds, and there are no arguments but flags; got %q", args)
	}
	o.part = *cases+*chosen+*conns+*also != ""
	o.cases, o.peers, o.also = list(*cases), list(*chosen), list(*also)
	if !o.part {
		o.also = names(extras())
	}
	for _, n := range list(*conns) {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return o, fmt.Errorf("-conns %s: %q is not a number of connections", *conns, n)
		}
		o.conns = append(o.conns, count)
	}
	return o, o.known()
}

// command is what makes the same run again.
func (o options) command() string {
	return strings.Join(append([]string{"go run ./examples/bench"}, o.args...), " ")
}

// known refuses a misspelt name: it would silently measure nothing.
func (o options) known() error {
	for flag, given := range map[string][2][]string{
		"-case": {o.cases, names(workloads())}, "-peer": {o.peers, names(peers())}, "-also": {o.also, names(extras())},
	} {
		for _, name := range given[0] {
			if !slices.Contains(given[1], name) {
				return fmt.Errorf("%s: there is no %q; there are %s", flag, name, strings.Join(given[1], ", "))
			}
		}
	}
	return nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

type named interface{ title() string }

func (w workload) title() string { return w.name }
func (p peer) title() string     { return p.name }
func (e extra) title() string    { return e.name }

func names[T named](all []T) []string {
	var out []string
	for _, one := range all {
		out = append(out, one.title())
	}
	return out
}

// pick keeps what was asked for, in the order of the program.
func pick[T named](all []T, wanted []string) []T {
	return slices.DeleteFunc(all, func(one T) bool {
		return len(wanted) > 0 && !slices.Contains(wanted, one.title())
	})
}

// contests are the tables to make. Only hello is measured at 1 and 256 connections by
// itself: with larger bodies the copying is the cost, and it does not depend on that.
func (o options) contests() []contest {
	if o.part && len(o.cases)+len(o.conns)+len(o.peers) == 0 {
		return nil // only -also was given
	}
	var all []contest
	for _, w := range pick(workloads(), o.cases) {
		conns, d := o.conns, o.duration
		if w.name != "hello" {
			d = max(time.Second, d/2)
		}
		switch {
		case len(conns) > 0:
		case w.name == "hello":
			conns = []int{1, 32, 256}
		default:
			conns = []int{32}
		}
		for _, n := range conns {
			all = append(all, contest{w, n, d})
		}
	}
	return all
}
