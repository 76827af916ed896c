//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

// server is a running peer.
type server struct {
	peer
	place place
	site  string              // where wrk and the checks send requests
	trees map[string]*process // by workload, or one under ""
	sock  map[string]string   // where nginx or a client finds each, by workload or ""
}

// tree is the process that serves a workload.
func (s *server) tree(w workload) *process {
	if p, found := s.trees[w.name]; found {
		return p
	}
	return s.trees[""]
}

// field is all servers of a measurement with the one nginx before them, in one folder.
type field struct {
	built string // folder of build
	dir   string // of this field's own files

	// Filled by newField, read by everything after it.
	servers []*server
	nginx   *process   // nil if all servers are spoken to directly
	running []*process // in the order of starting
}

// newField starts the peers and nginx, and returns when every one has answered every
// workload rightly. Whatever was started is in the field even if it errs: close it.
func newField(ctx context.Context, built, name string, workers int, chosen []peer) (*field, error) {
	f := &field{built: built, dir: filepath.Join(built, name)}
	if err := os.Mkdir(f.dir, 0o755); err != nil {
		return f, err
	}
	ports, err := freePorts(len(chosen))
	if err != nil {
		return f, err
	}
	for i, p := range chosen {
		s, err := f.start(p, ports[i], workers)
		if err != nil {
			return f, err
		}
		f.servers = append(f.servers, s)
	}
	if err := f.startNginx(workers); err != nil {
		return f, err
	}
	for _, s := range f.servers {
		if err := f.checkAll(ctx, s); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *field) start(p peer, port string, workers int) (*server, error) {
	at := place{built: f.built, dir: f.dir, name: p.name, listen: port, workers: workers}
	if p.front != direct {
		at.listen = at.file(".sock")
	}
	commands, err := p.commands(at)
	if err != nil {
		return nil, err
	}
	s := &server{peer: p, place: at, site: "http://" + port, trees: map[string]*process{}, sock: map[string]string{}}
	for serves, c := range commands {
		env := append(c.env, "BENCH_DATA="+filepath.Join(f.built, "data"))
		started, err := launch(f.dir, p.name+serves, env, c.args...)
		if err != nil {
			return nil, err
		}
		f.running = append(f.running, started)
		s.trees[serves], s.sock[serves] = started, c.listen
	}
	return s, nil
}

func (f *field) checkAll(ctx context.Context, s *server) error {
	// Every server must give the right bytes for every workload, before the first figure: a
	// run must not end in its tenth minute because the last peer cannot serve files.
	client := oneByOne()
	defer client.CloseIdleConnections()
	for _, w := range workloads() {
		if !s.serves(w) {
			continue
		}
		p := s.tree(w)
		if err := p.until(ctx, func() error { return w.check(client, s.site) }); err != nil {
			return errors.Join(err, f.nginxWords())
		}
	}
	return nil
}

// close stops everything in the order in which an operator would.
func (f *field) close() {
	for _, p := range slices.Backward(f.running) {
		p.stop()
	}
}

// site is a server block of nginx.
type site struct {
	Name, Listen string
	Front        front
	Modifier     int
	Sockets      map[string]string // by path; "" is every path
}

func (f *field) startNginx(workers int) error {
	var sites []site
	for _, s := range f.servers {
		if s.front == direct {
			continue
		}
		sockets := map[string]string{}
		for serves, socket := range s.sock {
			if serves != "" {
				serves = "/" + serves
			}
			sockets[serves] = socket
		}
		sites = append(sites, site{s.name, s.site[len("http://"):], s.front, s.modifier, sockets})
	}
	if len(sites) == 0 {
		return nil
	}
	conf, err := template.ParseFS(peerFiles, "peers/nginx.conf")
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(f.dir, "nginx.conf"))
	if err != nil {
		return err
	}
	defer out.Close()
	values := map[string]any{"Root": os.Geteuid() == 0, "Workers": workers, "Dir": f.dir, "Sites": sites}
	if err := conf.Execute(out, values); err != nil {
		return err
	}
	f.nginx, err = launch(f.dir, "nginx", nil, "nginx", "-e", filepath.Join(f.dir, "nginx.error.log"), "-c", out.Name())
	if err == nil {
		f.running = append(f.running, f.nginx)
	}
	return err
}

// nginxEnded is nil while nginx lives, or is not needed.
func (f *field) nginxEnded() error {
	if f.nginx == nil {
		return nil
	}
	return f.nginx.ended()
}

// nginxWords is what nginx has complained of, to stand beside a failure.
func (f *field) nginxWords() error {
	text, err := os.ReadFile(filepath.Join(f.dir, "nginx.error.log"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return fmt.Errorf("nginx said: %s", text[:min(len(text), 1000)])
}

// freePorts are all taken before any is given back, so that no two are the same.
func freePorts(n int) ([]string, error) {
	var held []io.Closer
	defer func() {
		for _, ln := range held {
			_ = ln.Close()
		}
	}()
	var ports []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, ln)
		ports = append(ports, ln.Addr().String())
	}
	return ports, nil
}
