// Package server hosts http.Handlers the way uWSGI hosts WSGI callables: one
// program is the master, the worker and the operator's command.
//
//	func main() {
//		server.Main(server.Handler("hello", http.HandlerFunc(hello)))
//	}
//
// It promises: a start either serves or says why and exits non-zero; a
// connection that was accepted is answered; a reload that does not come up
// leaves the running program as it was; a second start never takes a socket or
// a pidfile that is in use. Application code runs in worker processes only,
// never in the master.
//
// The package decides nothing about processes (package master), requests
// (worker/pool) or the wire (server/uwsgi, net/http). It picks the role of this
// process, joins those parts, and owns what belongs to the machine: log files,
// pidfile, control socket, the terminal and the exit code.
package server
