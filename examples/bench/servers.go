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

// equal is the number of processes of a server that has as many as everybody.
const equal = 0

// ostler listens by the key socket or http-socket. Other keys are added to a configuration
// of production defaults without an access log.
//
// It sets no GOMAXPROCS: the master shares out the CPUs among its workers, which with two
// workers on two CPUs comes to the same as the GOMAXPROCS=2 of the other Go servers.
func ostler(socket string, processes int, keys ...string) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		if processes == equal {
			processes = at.workers
		}
		lines := append([]string{fmt.Sprintf("%s = %q", socket, at.listen), fmt.Sprintf("processes = %d", processes),
			"disable-logging = true", `log-level = "warn"`, fmt.Sprintf("pidfile = %q", at.file(".pid"))}, keys...)
		if err := os.WriteFile(at.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		return one(at, nil, at.bin("benchapp"), "--config", at.config())
	}
}

// onOneCPU is for what is asked of a process, not of the machine.
func onOneCPU(commands func(place) (map[string]command, error)) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		list, err := commands(at)
		for name, c := range list {
			c.args = append([]string{"taskset", "-c", "0"}, c.args...)
			list[name] = c
		}
		return list, err
	}
}

func (at place) config() string { return at.file(".toml") }

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

// bareServer is one of those in C that do as little as can be.
func bareServer(program string, processes int) func(place) (map[string]command, error) {
	return func(at place) (map[string]command, error) {
		if processes == equal {
			processes = at.workers
		}
		return one(at, nil, at.bin(program), at.listen, strconv.Itoa(processes))
	}
}

func wsgiServer(at place) (map[string]command, error) {
	return one(at, nil, at.uwsgi(at.listen, "--plugin", "python3", "--pythonpath", at.built, "--module", "bench_wsgi")...)
}

func (at place) uwsgi(socket string, args ...string) []string {
	return append([]string{"uwsgi", "--master", "--processes", strconv.Itoa(at.workers), "--listen", "1024",
		"--socket", socket, "--chmod-socket=660", "--die-on-term", "--need-app", "--no-orphans", "--disable-logging"}, args...)
}

func gunicorn(at place) (map[string]command, error) {
	return one(at, nil, "gunicorn", "--workers", strconv.Itoa(at.workers), "--backlog", "1024",
		"--bind", "unix:"+at.listen, "--chdir", at.built, "--log-level", "warning", "bench_wsgi:application")
}
