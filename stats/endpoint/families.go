package endpoint

import (
	"runtime"
	"slices"

	"github.com/seed17661985/ostler/stats"
)

// families is every metric of ostler. A worker is labelled by its slot, never by its pid:
// a pid would start a new series at each reload.
func families(self *selfMetrics) []family {
	return slices.Concat(serverFamilies(), requestFamilies(), socketFamilies(), workerFamilies(), processFamilies(), selfFamilies(self))
}

func serverFamilies() []family {
	whole := func(name string, k kind, help string, read func(*stats.Snapshot, *series), labels ...string) family {
		return family{ours + name, k, help, labels, read}
	}
	return []family{
		whole("build_info", gauge, "Always 1. The labels say what runs: ostler's version, the program's build, and Go's version.",
			func(s *stats.Snapshot, o *series) { o.add(1, s.Ostler, s.Build, runtime.Version()) }, "version", "build", "goversion"),
		whole("start_time_seconds", gauge, "When the master started, in seconds since the epoch.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.StartedAt)) }),
		whole("ready", gauge, "1 while as many workers accept requests as /readyz asks for (all, with cheaper that many), otherwise 0.",
			func(s *stats.Snapshot, o *series) { o.flag(ready(*s)) }),
		whole("workers", gauge, "Workers that should serve requests now.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.Wanted)) }),
		whole("workers_max", gauge, "Workers there may be: with cheaper the load moves ostler_workers up to this, without it both are the same.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.WantedMost)) }),
		whole("workers_ready", gauge, "Workers that serve requests.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.Ready)) }),
		whole("worker_imbalance_ratio", gauge, "Requests of the busiest worker over the mean, in the last 10 seconds; 1 if there were too few to compare.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.Imbalance) / 100) }),
		whole("scalings_total", counter, "Changes of the number of workers that the load made, see cheaper: up or down.",
			func(s *stats.Snapshot, o *series) {
				o.count(s.Scalings.Up, "up")
				o.count(s.Scalings.Down, "down")
			}, "direction"),
		whole("generation", gauge, "The generation that is live. Each successful reload raises it.",
			func(s *stats.Snapshot, o *series) { o.add(float64(s.Generation)) }),
		whole("reloads_total", counter, "Reloads by how they ended: ok, rejected (no worker of the new program ever served), or rolled_back (some did).",
			func(s *stats.Snapshot, o *series) {
				o.count(s.Reloads.OK, "ok")
				o.count(s.Reloads.Rejected, "rejected")
				o.count(s.Reloads.RolledBack, "rolled_back")
			}, "result"),
		whole("last_reload_success", gauge, "1 if the last reload succeeded or there was none yet, 0 if it did not.",
			func(s *stats.Snapshot, o *series) { o.flag(s.LastReload == nil || s.LastReload.OK == 1) }),
		whole("last_reload_timestamp_seconds", gauge, "When the last reload ended, in seconds since the epoch. Missing before the first.",
			func(s *stats.Snapshot, o *series) {
				if r := s.LastReload; r != nil {
					o.add(float64(r.Began) + float64(r.TookMS)/1e3)
				}
			}),
	}
}

// appSum is what the workers have done for one app, wherever it is mounted.
type appSum struct {
	codes      stats.StatusCodes
	latency    stats.Latency
	exceptions uint64
}

// byApp sums over workers and mounts. An app that was taken away keeps its numbers.
func byApp(s *stats.Snapshot) map[string]appSum {
	sums := map[string]appSum{}
	for i := range s.Workers {
		for _, a := range s.Workers[i].Apps {
			sum := sums[a.Module]
			sum.codes = addCodes(sum.codes, a.StatusCodes)
			sum.latency = plus(sum.latency, a.Latency)
			sum.exceptions += a.Exceptions
			sums[a.Module] = sum
		}
	}
	return sums
}

func addCodes(a, b stats.StatusCodes) stats.StatusCodes {
	return stats.StatusCodes{
		Informational: a.Informational + b.Informational, Successful: a.Successful + b.Successful,
		Redirection: a.Redirection + b.Redirection, ClientError: a.ClientError + b.ClientError,
		ServerError: a.ServerError + b.ServerError, Other: a.Other + b.Other,
	}
}

// perApp reads a family that has one set of series for each app.
func perApp(read func(name string, sum appSum, o *series)) func(*stats.Snapshot, *series) {
	return func(s *stats.Snapshot, o *series) {
		for name, sum := range byApp(s) {
			read(name, sum, o)
		}
	}
}

func requestFamilies() []family {
	return []family{
		{ours + "requests_total", counter, `Requests handled, by app and by class of the answer's status. "other" is one that never got a status. app="" is what no app was there for.`,
			[]string{"app", "code"}, func(s *stats.Snapshot, o *series) {
				for name, sum := range byApp(s) {
					o.each(sum.codes, name)
				}
				var unmounted uint64
				for i := range s.Workers {
					unmounted += s.Workers[i].Unmounted
				}
				o.count(unmounted, "", "4xx")
			}},
		{ours + "request_duration_seconds", histogram, "How long requests held their slot, in seconds, by app.",
			[]string{"app"}, perApp(func(name string, sum appSum, o *series) { o.distribution(sum.latency, name) })},
		{ours + "exceptions_total", counter, "Requests whose handler panicked, by app.",
			[]string{"app"}, perApp(func(name string, sum appSum, o *series) { o.count(sum.exceptions, name) })},
		{ours + "rejected_total", counter, "Requests that did not get as far as they wanted, by reason.",
			[]string{"reason"}, func(s *stats.Snapshot, o *series) {
				sums := map[string]uint64{}
				for i := range s.Workers {
					for reason, n := range s.Workers[i].Rejects.Each() {
						sums[reason] += n
					}
				}
				for reason, n := range sums {
					o.count(n, reason)
				}
			}},
		{ours + "queue_wait_seconds", histogram, "How long requests waited for a slot inside a worker, in seconds. Those that had not to wait are not in it.",
			nil, func(s *stats.Snapshot, o *series) {
				var sum stats.Latency
				for i := range s.Workers {
					sum = plus(sum, s.Workers[i].QueueWait)
				}
				o.distribution(sum)
			}},
	}
}

// socketFamilies are about what the kernel holds before a worker accepts it.
func socketFamilies() []family {
	socket := func(name string, k kind, help string, read func(stats.Socket) float64) family {
		return family{ours + name, k, help, []string{"socket"}, func(s *stats.Snapshot, o *series) {
			for _, sock := range s.Sockets {
				o.add(read(sock), sock.Name)
			}
		}}
	}
	return []family{
		socket("queue_length", gauge, "Connections that wait in the kernel for a worker to accept them.",
			func(s stats.Socket) float64 { return float64(s.Queue) }),
		socket("queue_limit", gauge, "Connections that can wait there; the kernel refuses more.",
			func(s stats.Socket) float64 { return float64(s.MaxQueue) }),
		{ours + "queue_overflows_total", counter, "Connections the kernel turned away from TCP sockets, mostly because their queue was full; a client tries again, and each time counts.",
			nil, func(s *stats.Snapshot, o *series) { o.add(float64(s.ListenQueueErrors)) }},
	}
}

// perWorker makes a family with the label worker, and whatever else read gives.
func perWorker(name string, k kind, help string, read func(w *stats.Worker, id string, o *series), more ...string) family {
	return family{ours + name, k, help, append([]string{"worker"}, more...), func(s *stats.Snapshot, o *series) {
		for id, w := range spawned(s) {
			read(w, id, o)
		}
	}}
}

// one is for perWorker when a worker has one value.
func one(read func(*stats.Worker) float64) func(*stats.Worker, string, *series) {
	return func(w *stats.Worker, id string, o *series) { o.add(read(w), id) }
}

func workerFamilies() []family {
	return []family{
		perWorker("slots", gauge, "Request slots of the worker.",
			one(func(w *stats.Worker) float64 { return float64(len(w.Cores)) })),
		perWorker("requests_in_flight", gauge, "Requests being handled.",
			one(func(w *stats.Worker) float64 { return float64(len(w.InFlight)) })),
		perWorker("queued_requests", gauge, "Requests that wait for a slot inside the worker.",
			one(func(w *stats.Worker) float64 { return float64(w.Queued) })),
		perWorker("upgraded_connections", gauge, "Open connections that are no requests any more, such as websockets.",
			one(func(w *stats.Worker) float64 { return float64(w.Upgraded) })),
		perWorker("upgrades_total", counter, "Connections that were upgraded, to websockets for example.",
			one(func(w *stats.Worker) float64 { return float64(w.Upgrades) })),
		perWorker("receive_bytes_total", counter, "Bytes received from clients or the front end.",
			one(func(w *stats.Worker) float64 { return float64(w.Rx) })),
		perWorker("transmit_bytes_total", counter, "Bytes sent, heads included.",
			one(func(w *stats.Worker) float64 { return float64(w.Tx) })),
		perWorker("worker_requests_total", counter, "Requests handled by the worker, whatever their app and answer.",
			one(func(w *stats.Worker) float64 { return float64(w.Requests) })),
		perWorker("worker_busy_seconds_total", counter, "Time in requests, in seconds, summed over the slots of the worker.",
			one(func(w *stats.Worker) float64 { return seconds(w.RunningTime) })),
		perWorker("worker_up", gauge, "1 while the worker has a process, otherwise 0.",
			func(w *stats.Worker, id string, o *series) { o.flag(w.PID != 0, id) }),
		perWorker("worker_ready", gauge, "1 while the worker accepts requests, otherwise 0.",
			one(func(w *stats.Worker) float64 { return float64(w.Accepting) })),
		perWorker("worker_generation", gauge, "The generation of the worker's process, 0 without one.",
			one(func(w *stats.Worker) float64 { return float64(w.Generation) })),
		perWorker("worker_heartbeat_age_seconds", gauge, "How long ago the worker's process gave a sign of life, in seconds. It does so each second.",
			one(func(w *stats.Worker) float64 { return float64(w.HeartbeatAgeMS) / 1e3 })),
		perWorker("worker_start_time_seconds", gauge, "When the worker's process was started, in seconds since the epoch.",
			one(func(w *stats.Worker) float64 { return float64(w.LastSpawn) })),
		perWorker("worker_spawns_total", counter, "Processes started for the worker, the first included.",
			one(func(w *stats.Worker) float64 { return float64(w.RespawnCount) })),
		perWorker("worker_restarts_total", counter, "Ends of the worker's processes, by reason.",
			func(w *stats.Worker, id string, o *series) {
				for reason, n := range w.Restarts.Each() {
					o.count(n, id, reason)
				}
			}, "reason"),
	}
}

// processFamilies are what a worker's process costs. What only grows counts all the
// processes the worker has had.
func processFamilies() []family {
	return []family{
		perWorker("worker_cpu_seconds_total", counter, "CPU time of the worker, in seconds, by mode: user or system.",
			func(w *stats.Worker, id string, o *series) {
				o.micros(w.Process.CPUUser, id, "user")
				o.micros(w.Process.CPUSystem, id, "system")
			}, "mode"),
		perWorker("worker_resident_memory_bytes", gauge, "Resident memory of the worker's process, in bytes.",
			one(func(w *stats.Worker) float64 { return float64(w.RSS) })),
		perWorker("worker_virtual_memory_bytes", gauge, "Virtual memory of the worker's process, in bytes.",
			one(func(w *stats.Worker) float64 { return float64(w.VSZ) })),
		perWorker("worker_heap_bytes", gauge, "Memory of live objects and of those not swept yet, in bytes.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.Heap) })),
		perWorker("worker_open_fds", gauge, "Open file descriptors of the worker's process.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.OpenFDs) })),
		perWorker("worker_max_fds", gauge, "File descriptors the worker's process may open.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.MaxFDs) })),
		perWorker("worker_threads", gauge, "Threads of the operating system in the worker's process.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.Threads) })),
		perWorker("worker_goroutines", gauge, "Goroutines in the worker's process.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.Goroutines) })),
		perWorker("worker_gc_cycles_total", counter, "Garbage collections of the worker.",
			one(func(w *stats.Worker) float64 { return float64(w.Process.GCCycles) })),
		perWorker("worker_gc_pause_seconds_total", counter, "Time the worker stood still for garbage collections, in seconds.",
			one(func(w *stats.Worker) float64 { return seconds(w.Process.GCPause) })),
		perWorker("worker_gc_cpu_seconds_total", counter, "CPU time of the worker's garbage collections, in seconds.",
			one(func(w *stats.Worker) float64 { return seconds(w.Process.GCCPU) })),
	}
}

func selfFamilies(self *selfMetrics) []family {
	return []family{
		{ours + "app_scrape_errors_total", counter, "Scrapes without the metrics of the application, or without some of them.",
			nil, func(_ *stats.Snapshot, o *series) { o.count(self.appErrors.Load()) }},
		{ours + "stats_connections_shed_total", counter, "Connections to the stats address that were closed because too many were open.",
			nil, func(_ *stats.Snapshot, o *series) { o.count(self.shed.Load()) }},
	}
}
