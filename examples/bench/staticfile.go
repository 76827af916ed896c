//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

// staticRounds is how often each server is measured, by turns.
const staticRounds = 5

// staticFiles compares who serves a file itself, ostler and nginx, both spoken to directly.
// ostler keeps a file open for a moment; so does an nginx that is told to.
func staticFiles(ctx context.Context, l lab) (finding, error) {
	w := workload{name: "static100k", about: "GET, a file of 100 KiB", size: 100 << 10}
	data := filepath.Join(l.built, "data")
	if err := os.WriteFile(filepath.Join(data, w.name), w.content(), 0o644); err != nil {
		return finding{}, err
	}
	only := []string{w.name}
	f, err := newField(ctx, l.built, "static", l.workers, []peer{
		{name: ostlerDirect, front: direct, only: only, commands: ostler("http-socket", equal, fmt.Sprintf("check-static = %q", data))},
		{name: "nginx", front: direct, only: only, commands: nginxFiles(data, false)},
		{name: "nginx-open-file-cache", front: direct, only: only, commands: nginxFiles(data, true)},
	})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	client := oneByOne()
	defer client.CloseIdleConnections()
	for _, s := range f.servers {
		if err := s.tree(w).until(ctx, func() error { return w.check(client, s.site) }); err != nil {
			return finding{}, err
		}
	}
	o, err := f.compete(ctx, contest{w, 32, 3 * time.Second}, staticRounds)
	if err != nil {
		return finding{}, err
	}
	var g grid
	g.add("100 KiB, 32 connections", "requests/s", "CPU µs per request")
	for _, s := range f.servers {
		g.add(s.name, fmt.Sprintf("%.0f", median(o.samples[s.name], rate)), fmt.Sprintf("%.1f", median(o.samples[s.name], backendCPU)))
	}
	// Throughput per CPU second is one through the CPU of a request.
	nginx, ours := median(o.samples["nginx"], backendCPU), median(o.samples[ostlerDirect], backendCPU)
	return finding{
		text:   fmt.Sprintf("Medians of %d rounds of 3 s each, by turns; nginx with sendfile, without an access log as all.\n\n%s", staticRounds, g.String()),
		claims: []claim{atLeast("a static file of 100 KiB, requests per CPU second: ostler ÷ nginx", nginx/ours, "%.2f", 0.8)},
	}, nil
}

// nginxFiles is an nginx that serves a folder, as it is configured by default or with its files
// kept open.
func nginxFiles(folder string, keep bool) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		conf, err := template.ParseFS(peerFiles, "peers/static.conf")
		if err != nil {
			return nil, err
		}
		out, err := os.Create(at.file(".conf"))
		if err != nil {
			return nil, err
		}
		defer out.Close()
		values := map[string]any{"Root": os.Geteuid() == 0, "Workers": at.workers, "Files": at.file(""), "Listen": at.listen, "Folder": folder, "Keep": keep}
		if err := conf.Execute(out, values); err != nil {
			return nil, err
		}
		return one(at, nil, "nginx", "-e", at.file(".error.log"), "-c", out.Name())
	}
}
