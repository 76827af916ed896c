//go:build linux

package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// grid is a Markdown table whose columns also line up in a terminal.
type grid struct{ rows [][]string }

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// String has the first row as the head. The first column is text, the others are numbers.
func (g *grid) String() string {
	width := make([]int, len(g.rows[0]))
	for _, row := range g.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, row := range g.rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				cell, pad = pad+cell, ""
			}
			fmt.Fprintf(&b, "| %s%s ", cell, pad)
		}
		b.WriteString("|\n")
		if n == 0 {
			for i := range row {
				line := strings.Repeat("-", width[i]+2)
				if i > 0 {
					line = line[1:] + ":"
				}
				b.WriteString("|" + line)
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// table is a contest's: one row for each server, in the order of peers().
func (o outcome) table(chosen []peer) string {
	var g grid
	g.add("server", "requests/s", "p50 µs", "p99 µs", "backend µs", "nginx µs", "backend ÷ nginx", "switches",
		"PSS MiB", "RSS MiB", "CPU: ostler ÷ this", "requests/s: ostler ÷ this")
	for _, p := range chosen {
		samples := o.samples[p.name]
		if len(samples) == 0 {
			g.add(p.name, "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-")
			continue
		}
		m := func(figure func(sample) float64) float64 { return median(samples, figure) }
		nginx, share := "", ""
		if p.front != direct {
			nginx = fmt.Sprintf("%.1f", m(nginxCPU))
			share = fmt.Sprintf("%.2f", m(backendCPU)/m(nginxCPU))
		}
		g.add(p.name, fmt.Sprintf("%.0f", m(rate)), fmt.Sprintf("%.0f", m(p50)), fmt.Sprintf("%.0f", m(p99)),
			fmt.Sprintf("%.2f", m(backendCPU)), nginx, share, fmt.Sprintf("%.2f", m(switches)),
			fmt.Sprintf("%.1f", m(pss)), fmt.Sprintf("%.1f", m(rss)),
			o.against(p, backendCPU), o.against(p, rate))
	}
	return g.String()
}

// against is ostler's figure over the peer's: the uwsgi server's for who stands behind nginx,
// the http server's for who is spoken to directly.
func (o outcome) against(p peer, figure func(sample) float64) string {
	ostler := ostlerUWSGI
	if p.front == direct {
		ostler = ostlerDirect
	}
	ours := o.samples[ostler]
	if len(ours) == 0 || p.name == ostler {
		return ""
	}
	return fmt.Sprintf("%.2f", median(ours, figure)/median(o.samples[p.name], figure))
}

func rate(s sample) float64       { return s.perSecond }
func p50(s sample) float64        { return s.p50 }
func p99(s sample) float64        { return s.p99 }
func backendCPU(s sample) float64 { return s.backend }
func nginxCPU(s sample) float64   { return s.nginx }
func switches(s sample) float64   { return s.switches }
func pss(s sample) float64        { return s.pss }
func rss(s sample) float64        { return s.rss }
