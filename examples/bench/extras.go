//go:build linux

package main

import "context"

// lab is where a further measurement takes place.
type lab struct {
	built   string // folder of build
	workers int
	idle    int // connections of the keepalive measurement
}

// extra is a measurement besides the contests, with servers of its own.
type extra struct {
	name, heading string
	run           func(context.Context, lab) (finding, error)
}

// finding is what a measurement has to say.
type finding struct {
	heading string
	text    string // Markdown
	claims  []claim
}

func extras() []extra {
	return []extra{
		{"idle", "Idle workers", idleWorkers},
		{"syscalls", "System calls", systemCalls},
		{"keepalive", "Idle connections", idleConnections},
		{"reload", "Reload under load", reloadUnderLoad},
		{"scrape", "Being watched", scraping},
		{"static", "Static files", staticFiles},
	}
}

// sequential is how many requests the measurements of waking and of system calls make.
const sequential = 1000

// workersOf are the processes of a server without its master.
func workersOf(s *server) ([]int, error) {
	root := s.trees[""].cmd.Process.Pid
	pids, err := tree(root)
	if err != nil {
		return nil, err
	}
	workers := pids[:0]
	for _, pid := range pids {
		if pid != root {
			workers = append(workers, pid)
		}
	}
	return workers, nil
}

// hello is the workload of the measurements that are not about bodies.
func hello() workload { return workloads()[0] }

// spent is what processes used while work was done.
func spent(pids []int, work func() error) (usage, error) {
	u, _, err := spentBy(pids, nil, work)
	return u, err
}
