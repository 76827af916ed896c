//go:build linux

package main

import (
	"path/filepath"
	"slices"
)

// front is how a request reaches a server.
type front string

const (
	direct         front = "direct"          // http over TCP, keep-alive
	overUWSGI      front = "uwsgi"           // nginx: uwsgi_pass
	proxyClose     front = "proxy"           // nginx: proxy_pass as it comes, a connection per request
	proxyKeepAlive front = "proxy-keepalive" // nginx: proxy_pass with upstream keepalive
	fastCGI        front = "fastcgi"         // nginx: fastcgi_pass
)

// symcall is the number of uWSGI's symcall plugin on the wire; 0 is WSGI and ostler.
const symcall = 18

// peer is one row of the tables: a server and the way to it.
type peer struct {
	name, about string
	front       front
	modifier    int      // of the uwsgi protocol
	only        []string // workloads that it can serve; none: all
	commands    func(at place) (map[string]command, error)
}

// place is where a server finds what was built and keeps its own files.
type place struct {
	built     string // folder of build
	dir, name string // its files are dir/name.*
	listen    string // where it has to listen: a unix socket, or host:port if direct
	workers   int
}

// command starts one process tree. Most peers are one; the key is the workload it serves,
// empty for all.
type command struct {
	args   []string
	env    []string
	listen string
}

func (p peer) serves(w workload) bool { return len(p.only) == 0 || slices.Contains(p.only, w.name) }

func (at place) bin(name string) string { return filepath.Join(at.built, "bin", name) }
func (at place) file(suffix string) string {
	return filepath.Join(at.dir, at.name+suffix)
}

// Names that the claims refer to.
const (
	ostlerUWSGI   = "ostler-uwsgi"
	ostlerDirect  = "ostler-http"
	netHTTPDirect = "nethttp"
	netHTTPClose  = "nethttp-proxy"
	netHTTPKeep   = "nethttp-proxy-keepalive"
	netHTTPFCGI   = "nethttp-fcgi"
	uwsgiSymcall  = "uwsgi-symcall"
	bareC         = "bare-c"
	bareOne       = "bare-c-1"
	uringC        = "uring-c"
)

func peers() []peer {
	notFile := []string{"hello", "json2k", "body64k", "echo10k"}
	return []peer{
		{name: ostlerUWSGI, about: "ostler, nginx `uwsgi_pass`", front: overUWSGI, commands: ostler("socket", equal)},
		{name: uwsgiSymcall, about: "uWSGI, a C function that does not look at the request (symcall), nginx `uwsgi_pass`", front: overUWSGI, modifier: symcall,
			only: []string{"hello", "json2k", "body64k"}, commands: symcallServers},
		{name: bareC, about: "plain accept, read, write and close with a constant answer, in C (`peers/bare.c`); not the least there can be, it sleeps more often than ostler, nginx `uwsgi_pass`", front: overUWSGI,
			only: []string{"hello"}, commands: bareServer("bare", equal)},
		{name: bareOne, about: "the same as one process, which sleeps less and wakes nobody in vain, nginx `uwsgi_pass`", front: overUWSGI,
			only: []string{"hello"}, commands: bareServer("bare", 1)},
		{name: uringC, about: "the same handed to the kernel in chains, by io_uring, in C (`peers/uring.c`), nginx `uwsgi_pass`", front: overUWSGI,
			only: []string{"hello"}, commands: bareServer("uring", equal)},
		{name: "uwsgi-wsgi", about: "uWSGI, a Python WSGI function, nginx `uwsgi_pass`", front: overUWSGI, only: notFile, commands: wsgiServer},
		{name: netHTTPClose, about: "net/http, nginx `proxy_pass`, a connection per request (nginx's default)", front: proxyClose, commands: netHTTP("")},
		{name: netHTTPKeep, about: "net/http, nginx `proxy_pass`, upstream keep-alive", front: proxyKeepAlive, commands: netHTTP("")},
		{name: "ostler-proxy-keepalive", about: "ostler http, nginx `proxy_pass`, upstream keep-alive", front: proxyKeepAlive, commands: ostler("http-socket", equal)},
		{name: netHTTPFCGI, about: "net/http/fcgi, nginx `fastcgi_pass`", front: fastCGI, commands: netHTTP("-fcgi")},
		{name: "gunicorn", about: "gunicorn, sync workers, nginx `proxy_pass`", front: proxyClose, only: notFile, commands: gunicorn},
		{name: ostlerDirect, about: "ostler, http, direct", front: direct, commands: ostler("http-socket", equal)},
		{name: "ostler-http-1", about: "ostler, http, direct, one process with all CPUs", front: direct, commands: ostler("http-socket", 1)},
		{name: netHTTPDirect, about: "net/http, direct, one process with all CPUs", front: direct, commands: netHTTP("")},
		{name: "fasthttp", about: "fasthttp with its net/http adaptor, direct, one process with all CPUs", front: direct, commands: fastHTTP},
	}
}
