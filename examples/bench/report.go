//go:build linux

package main

import (
	"fmt"
	"strings"
)

// howToRead stands before the tables.
const howToRead = `Every server serves the same bytes with two workers, or as one process with two CPUs, and
without an access log. One nginx, the same process for all, stands before those that are
reached through it, by unix sockets. All servers, nginx and wrk share the CPUs.

- The servers are measured by turns within every round. Each figure is the median over the
  rounds. One error of any kind would have ended the run.
- Absolute figures are those of this machine in that hour: they wander by a factor of two.
  Compare within one table only.
- **backend µs** is CPU time per request, user and system, of all processes of the server;
  **nginx µs** is nginx's. Their quotient is steadier from run to run than either.
- **switches** is how often a thread of the server went to sleep, per request.
- **PSS** shares out pages that several processes have in common, **RSS** counts them in each.
- **ostler ÷ this** compares with the row ostler-uwsgi behind nginx, and with ostler-http for
  the servers that are spoken to directly. Less CPU and more requests are better.
- Goals are judged by the medians as they are. **nginx µs** beside them shows whether nginx
  had the same to do for both: with upstream keep-alive it has less.
- "-": the server does not have this case. The C functions take no body, and the Python
  servers serve no files: nobody would use them for it.
`

// document is docs/benchmarks.md.
func (r *report) document(chosen []peer) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n<!-- Written by examples/bench. Do not edit; run: make bench -->\n\n")
	fmt.Fprintf(&b, "Command: `%s`, on %s, in %s.\n\n", r.options.command(), r.began.UTC().Format("2006-01-02 15:04 UTC"),
		r.took.Round(1e9))
	fmt.Fprintf(&b, "- Machine: %s, %.0f GiB, %s, Linux %s\n", r.machine.cpu, mebi(r.machine.memory)/1024, r.machine.system, r.machine.kernel)
	fmt.Fprintf(&b, "- Load averages before the start, of 1, 5 and 15 minutes: %s\n", r.machine.load)
	for _, v := range r.machine.versions {
		fmt.Fprintf(&b, "- %s: %s\n", v.what, v.version)
	}
	fmt.Fprintf(&b, "\n## How to read it\n\n%s\n## The servers\n\n", howToRead)
	for _, p := range chosen {
		fmt.Fprintf(&b, "- **%s**: %s\n", p.name, p.about)
	}
	b.WriteString(r.results(chosen))
	return b.String()
}

// results are the measured part of the document, and what the terminal gets.
func (r *report) results(chosen []peer) string {
	var b strings.Builder
	for _, o := range r.outcomes {
		fmt.Fprintf(&b, "\n## %s: %s, %s\n\n%s of %v for each server.\n\n%s", o.name, o.about, plural(o.conns, "connection"),
			plural(r.options.rounds, "round"), o.d, o.table(chosen))
	}
	for _, f := range r.findings {
		fmt.Fprintf(&b, "\n## %s\n\n%s", f.heading, f.text)
	}
	b.WriteString("\n## What must be shown\n\n")
	if all := r.claims(); len(all) > 0 {
		b.WriteString(claimsTable(all))
	} else {
		b.WriteString("This run measured none of it.\n")
	}
	return b.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
