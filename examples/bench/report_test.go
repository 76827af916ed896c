//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestGridLinesUp(t *testing.T) {
	var g grid
	g.add("server", "p50 µs")
	g.add("ostler", "7")
	g.add("a longer name", "12345")
	want := `| server        | p50 µs |
|---------------|-------:|
| ostler        |      7 |
| a longer name |  12345 |
`
	if got := g.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVersionIsCutOut(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1": "1.22.1", "2.0.21-debian": "2.0.21-debian", "gunicorn (version 20.1.0)": "20.1.0",
		"Python 3.11.2": "3.11.2", "strace -- version 6.1": "6.1", "gcc (Debian 12.2.0-14+deb12u1) 12.2.0": "12.2.0-14+deb12u1",
		"wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer": "4.1.0-3+b2", "no number": "no number",
	} {
		if got := numberOf(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestMedianOfOddAndEven(t *testing.T) {
	of := func(values ...float64) (all []sample) {
		for _, v := range values {
			all = append(all, sample{perSecond: v})
		}
		return all
	}
	for _, c := range []struct {
		samples []sample
		want    float64
	}{{of(7), 7}, {of(9, 1, 5), 5}, {of(8, 1, 2, 4), 3}} {
		if got := median(c.samples, rate); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.samples, got, c.want)
		}
	}
}

// measured is an outcome of hello with one sample for each server.
func measured(conns int, samples map[string]sample) outcome {
	o := outcome{contest{hello(), conns, time.Second}, map[string][]sample{}}
	for name, s := range samples {
		o.samples[name] = []sample{s}
	}
	return o
}

func TestTableHasRatiosWithinEachGroup(t *testing.T) {
	table := measured(32, map[string]sample{
		ostlerUWSGI:   {perSecond: 100, backend: 4, nginx: 8},
		uwsgiSymcall:  {perSecond: 50, backend: 5, nginx: 8},
		ostlerDirect:  {perSecond: 300, backend: 2},
		netHTTPDirect: {perSecond: 200, backend: 8},
	}).table(peers())
	for server, want := range map[string][3]string{ // backend ÷ nginx, CPU ratio, requests ratio
		ostlerUWSGI: {"0.50", "", ""}, uwsgiSymcall: {"0.62", "0.80", "2.00"},
		ostlerDirect: {"", "", ""}, netHTTPDirect: {"", "0.25", "1.50"}, "gunicorn": {"-", "-", "-"},
	} {
		cells := rowOf(table, server)
		if got := [3]string{cells[6], cells[10], cells[11]}; got != want {
			t.Errorf("%s: %q, want %q in\n%s", server, got, want, table)
		}
	}
}

func TestEveryGoalCanBeReachedAndMissed(t *testing.T) {
	good := map[string]sample{
		ostlerUWSGI: {backend: 1.04}, uwsgiSymcall: {backend: 1}, netHTTPClose: {backend: 2.5}, netHTTPKeep: {backend: 1.3}, netHTTPFCGI: {backend: 6},
		ostlerDirect: {perSecond: 106, p99: 10}, netHTTPDirect: {perSecond: 100, p99: 10},
	}
	bad := map[string]sample{
		ostlerUWSGI: {backend: 1.06}, uwsgiSymcall: {backend: 1}, netHTTPClose: {backend: 2.3}, netHTTPKeep: {backend: 1.2}, netHTTPFCGI: {backend: 5},
		ostlerDirect: {perSecond: 104, p99: 11}, netHTTPDirect: {perSecond: 100, p99: 10},
	}
	for want, samples := range map[string]map[string]sample{"PASS": good, "FAIL": bad} {
		got := claims([]outcome{measured(1, bad), measured(32, samples), measured(256, bad)})
		if len(got) != len(rivals()) {
			t.Errorf("%d claims, want one for each of %d rivals at 32 connections", len(got), len(rivals()))
		}
		for _, c := range got {
			if c.verdict() != want {
				t.Errorf("%+v, want %s", c, want)
			}
		}
	}
	if got := claims([]outcome{measured(32, map[string]sample{ostlerUWSGI: {backend: 1}})}); len(got) != 0 {
		t.Errorf("claims without a rival: %v", got)
	}
	if !atMost("", 5, "%.0f", 5).holds || atMost("", 5.01, "%.2f", 5).holds {
		t.Error("a limit is not where it was set")
	}
}

func TestAMissedGoalIsPublishedAndThenAnError(t *testing.T) {
	missed := finding{heading: "Sleep", text: "Much of it.\n", claims: []claim{atMost("hours", 9, "%.0f", 8)}}
	var out bytes.Buffer
	err := (&report{findings: []finding{missed}}).publish(&out, peers())
	if !errors.Is(err, errMissed) {
		t.Errorf("got %v, want errMissed", err)
	}
	for _, want := range []string{"## Sleep", "Much of it.", "| hours |", "≤ 8", "FAIL"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	missed.claims[0].holds = true
	if err := (&report{findings: []finding{missed}}).publish(io.Discard, peers()); err != nil {
		t.Errorf("a reached goal is an error: %v", err)
	}
}
