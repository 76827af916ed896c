//go:build linux

package main

import "fmt"

// claim is one line of what must be shown: two medians of one run and their ratio, or one
// number and its limit.
type claim struct {
	what         string
	ours, theirs string
	ratio, limit string
	beside       string // nginx's CPU µs per request with ours and with theirs
	holds        bool
}

func (c claim) verdict() string {
	if c.holds {
		return "PASS"
	}
	return "FAIL"
}

// atMost claims that a number does not pass a limit.
func atMost(what string, got float64, format string, limit float64) claim {
	return claim{what: what, ours: fmt.Sprintf(format, got), limit: "≤ " + fmt.Sprintf(format, limit), holds: got <= limit}
}

// atLeast claims that a number reaches a goal.
func atLeast(what string, got float64, format string, goal float64) claim {
	return claim{what: what, ours: fmt.Sprintf(format, got), limit: "≥ " + fmt.Sprintf(format, goal), holds: got >= goal}
}

// rival is a claim about two servers of one contest, as a ratio ours ÷ theirs.
type rival struct {
	what         string
	ours, theirs string // names of peers
	figure       func(sample) float64
	format       string
	min, max     float64 // one of them is zero: no such limit
}

// rivals are the goals for hello at 32 connections: enough to keep two workers busy, too few
// to hide the cost of a request in batches. The limits are what prototypes of the uwsgi engine
// reached beside these peers.
func rivals() []rival {
	const cpu = "CPU µs of the backend per request, nginx and a unix socket: ostler ÷ "
	return []rival{
		{cpu + "uWSGI symcall", ostlerUWSGI, uwsgiSymcall, backendCPU, "%.2f", 0, 1.05},
		{cpu + "net/http, connection per request", ostlerUWSGI, netHTTPClose, backendCPU, "%.2f", 0, 0.45},
		{cpu + "net/http, upstream keep-alive", ostlerUWSGI, netHTTPKeep, backendCPU, "%.2f", 0, 0.85},
		{cpu + "net/http/fcgi", ostlerUWSGI, netHTTPFCGI, backendCPU, "%.2f", 0, 0.20},
		{"requests/s, http direct, keep-alive: ostler, a process per CPU ÷ one net/http", ostlerDirect, netHTTPDirect, rate, "%.0f", 1.05, 0},
		{"p99 µs, http direct, keep-alive: ostler, a process per CPU ÷ one net/http", ostlerDirect, netHTTPDirect, p99, "%.0f", 0, 1},
	}
}

// claims judges the rivals that were measured.
func claims(outcomes []outcome) []claim {
	var all []claim
	for _, o := range outcomes {
		if o.name != "hello" || o.conns != 32 {
			continue
		}
		for _, r := range rivals() {
			if len(o.samples[r.ours]) > 0 && len(o.samples[r.theirs]) > 0 {
				all = append(all, r.judge(o))
			}
		}
	}
	return all
}

func (r rival) judge(o outcome) claim {
	ours, theirs := median(o.samples[r.ours], r.figure), median(o.samples[r.theirs], r.figure)
	ratio := ours / theirs
	c := claim{what: r.what, ours: fmt.Sprintf(r.format, ours), theirs: fmt.Sprintf(r.format, theirs), ratio: fmt.Sprintf("%.2f", ratio)}
	if front := median(o.samples[r.ours], nginxCPU); front > 0 {
		c.beside = fmt.Sprintf("%.1f, %.1f", front, median(o.samples[r.theirs], nginxCPU))
	}
	if r.max > 0 {
		c.limit, c.holds = fmt.Sprintf("≤ %.2f", r.max), ratio <= r.max
	} else {
		c.limit, c.holds = fmt.Sprintf("≥ %.2f", r.min), ratio >= r.min
	}
	return c
}

// claimsTable is the end of the document.
func claimsTable(all []claim) string {
	var g grid
	g.add("", "ours", "theirs", "nginx µs", "ratio", "goal", "verdict")
	for _, c := range all {
		g.add(c.what, c.ours, c.theirs, c.beside, c.ratio, c.limit, c.verdict())
	}
	return g.String()
}
