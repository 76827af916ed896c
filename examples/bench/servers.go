//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The servers get what their manuals advise for this machine, no access log, and the same
// number of processes, or one process with that many CPUs.

// one is the command of a server that serves every workload.
func one(at place, env []string, args ...string) (map[string]command, error) {
	return map[string]command{"": {args: args, env: env, listen: at.listen}}, nil
}

// ostler listens by the key socket or http-socket; workers 0 means as many as everybody.
func ostler(key string, workers int) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		if workers != 0 {
			at.workers = workers
		}
		path, err := at.writeTOML(fmt.Sprintf("%s = %q", key, at.listen), fmt.Sprintf("processes = %d", at.workers))
		if err != nil {
			return nil, err
		}
		return one(at, nil, at.bin("benchapp"), "--config", path)
	}
}

// writeTOML writes an ostler's configuration: the given keys, and otherwise production
// defaults, but no access log.
func (at place) writeTOML(keys ...string) (string, error) {
	keys = append(keys, "disable-logging = true", `log-level = "warn"`, fmt.Sprintf("pidfile = %q", at.file(".pid")))
	path := at.file(".toml")
	return path, os.WriteFile(path, []byte(strings.Join(keys, "\n")+"\n"), 0o644)
}

func netHTTP(flags ...string) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		args := append([]string{at.bin("nethttp"), "-listen", at.listen}, flags...)
		return one(at, []string{"GOMAXPROCS=" + strconv.Itoa(at.workers)}, args...)
	}
}

func fastHTTP(at place) (map[string]command, error) {
	return one(at, []string{"GOMAXPROCS=" + strconv.Itoa(at.workers)}, at.bin("fasthttp"), "-listen", at.listen)
}

// symcallServers are one uWSGI for each workload, see peers/symcall.c.
func symcallServers(at place) (map[string]command, error) {
	commands := map[string]command{}
	for _, function := range []string{"hello", "json2k", "body64k"} {
		socket := at.file("-" + function + ".sock")
		commands[function] = command{listen: socket, args: at.uwsgi(socket,
			"--plugin", "symcall", "--dlopen", at.bin("symcall.so"), "--symcall", function)}
	}
	return commands, nil
}

func wsgiServer(at place) (map[string]command, error) {
	return one(at, nil, at.uwsgi(at.listen, "--plugin", "python3", "--pythonpath", at.dir, "--module", "bench_wsgi")...)
}

func (at place) uwsgi(socket string, args ...string) []string {
	return append([]string{"uwsgi", "--master", "--processes", strconv.Itoa(at.workers), "--listen", "1024",
		"--socket", socket, "--chmod-socket=660", "--die-on-term", "--need-app", "--no-orphans", "--disable-logging"}, args...)
}

func gunicorn(at place) (map[string]command, error) {
	return one(at, nil, "gunicorn", "--workers", strconv.Itoa(at.workers), "--backlog", "1024",
		"--bind", "unix:"+at.listen, "--chdir", at.dir, "--log-level", "warning", "bench_wsgi:application")
}
