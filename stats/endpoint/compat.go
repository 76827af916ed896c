package endpoint

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/seed17661985/ostler/stats"
)

// exporterFamilies are the metrics of timonwong/uwsgi_exporter (since its version 1.0, as it
// runs without --collect.cores), so that dashboards made for it show ostler. Names, types
// and labels are its own, also where one would choose others today. What it says about
// itself is not among them, but for uwsgi_up, which alerts are made of.
func exporterFamilies(at net.Addr) []family {
	all := slices.Concat(exporterServer(), exporterSockets(), exporterWorkers(), exporterApps())
	uri := statsURI(at)
	for i, f := range all {
		all[i].labels = append([]string{"stats_uri"}, f.labels...)
		all[i].read = func(s *stats.Snapshot, o *series) { f.read(s, o.with(uri)) }
	}
	return all
}

// statsURI is how the exporter would have been told to find this server.
func statsURI(at net.Addr) string {
	if strings.HasPrefix(at.Network(), "unix") {
		return "unix://" + at.String()
	}
	return "tcp://" + at.String()
}

func exporterServer() []family {
	whole := func(name, help string, read func(*stats.Snapshot) int) family {
		return family{"uwsgi_" + name, gauge, help, nil, func(s *stats.Snapshot, o *series) { o.add(float64(read(s))) }}
	}
	return []family{
		whole("up", "Whether the uWSGI server is up.", func(*stats.Snapshot) int { return 1 }),
		whole("listen_queue_length", "Length of listen queue.", func(s *stats.Snapshot) int { return s.ListenQueue }),
		whole("listen_queue_errors", "Number of listen queue errors.", func(s *stats.Snapshot) int { return s.ListenQueueErrors }),
		whole("signal_queue_length", "Length of signal queue.", func(s *stats.Snapshot) int { return s.SignalQueue }),
		whole("workers", "Number of workers.", func(s *stats.Snapshot) (n int) {
			for range spawned(s) {
				n++
			}
			return n
		}),
	}
}

func exporterSockets() []family {
	socket := func(name, help string, read func(stats.Socket) int) family {
		return family{"uwsgi_socket_" + name, gauge, help, []string{"name", "proto"}, func(s *stats.Snapshot, o *series) {
			for _, sock := range s.Sockets {
				o.add(float64(read(sock)), sock.Name, sock.Proto)
			}
		}}
	}
	return []family{
		socket("queue_length", "Length of socket queue.", func(s stats.Socket) int { return s.Queue }),
		socket("max_queue_length", "Max length of socket queue.", func(s stats.Socket) int { return s.MaxQueue }),
		socket("shared", "Is shared socket?", func(s stats.Socket) int { return s.Shared }),
		socket("can_offload", "Can socket offload?", func(s stats.Socket) int { return s.CanOffload }),
	}
}

func exporterWorkers() []family {
	worker := func(name string, k kind, help string, read func(*stats.Worker) float64) family {
		return family{"uwsgi_worker_" + name, k, help, []string{"worker_id"}, func(s *stats.Snapshot, o *series) {
			for id, w := range spawned(s) {
				o.add(read(w), id)
			}
		}}
	}
	status := func(status stats.Status) family {
		return worker(string(status), gauge, "Is core in "+string(status)+" mode?", func(w *stats.Worker) float64 {
			if w.Status == status {
				return 1
			}
			return 0
		})
	}
	return []family{
		worker("accepting", gauge, "Is this worker accepting requests?", func(w *stats.Worker) float64 { return float64(w.Accepting) }),
		worker("delta_requests", gauge, "Number of delta requests.", func(w *stats.Worker) float64 { return float64(w.DeltaRequests) }),
		worker("signal_queue_length", gauge, "Length of signal queue.", func(w *stats.Worker) float64 { return float64(w.SignalQueue) }),
		worker("rss_bytes", gauge, "Worker RSS bytes.", func(w *stats.Worker) float64 { return float64(w.RSS) }),
		worker("vsz_bytes", gauge, "Worker VSZ bytes.", func(w *stats.Worker) float64 { return float64(w.VSZ) }),
		worker("running_time_seconds", gauge, "Worker running time in seconds.", func(w *stats.Worker) float64 { return seconds(w.RunningTime) }),
		worker("last_spawn_time_seconds", gauge, "Last spawn time in seconds since epoch.", func(w *stats.Worker) float64 { return float64(w.LastSpawn) }),
		worker("average_response_time_seconds", gauge, "Average response time in seconds.", func(w *stats.Worker) float64 { return seconds(w.AvgRT) }),
		worker("apps", gauge, "Number of apps.", func(w *stats.Worker) float64 { return float64(len(w.Apps)) }),
		worker("cores", gauge, "Number of cores.", func(w *stats.Worker) float64 { return float64(len(w.Cores)) }),
		worker("requests_total", counter, "Total number of requests.", func(w *stats.Worker) float64 { return float64(w.Requests) }),
		worker("exceptions_total", counter, "Total number of exceptions.", func(w *stats.Worker) float64 { return float64(w.Exceptions) }),
		worker("harakiri_count_total", counter, "Total number of harakiri count.", func(w *stats.Worker) float64 { return float64(w.HarakiriCount) }),
		worker("signals_total", counter, "Total number of signals.", func(w *stats.Worker) float64 { return float64(w.Signals) }),
		worker("respawn_count_total", counter, "Total number of respawn count.", func(w *stats.Worker) float64 { return float64(w.RespawnCount) }),
		worker("transmitted_bytes_total", counter, "Worker transmitted bytes.", func(w *stats.Worker) float64 { return float64(w.Tx) }),
		status(stats.Busy), status(stats.Idle), status(stats.Cheap),
	}
}

func exporterApps() []family {
	app := func(name string, k kind, help string, read func(stats.AppStats) float64) family {
		labels := []string{"worker_id", "app_id", "mountpoint", "chdir"}
		return family{"uwsgi_worker_app_" + name, k, help, labels, func(s *stats.Snapshot, o *series) {
			for id, w := range spawned(s) {
				for _, a := range w.Apps {
					o.add(read(a), id, strconv.Itoa(a.ID), a.Mountpoint, a.Chdir)
				}
			}
		}}
	}
	return []family{
		app("startup_time_seconds", gauge, "How long this app took to start.", func(a stats.AppStats) float64 { return float64(a.StartupTime) }),
		app("requests_total", counter, "Total number of requests.", func(a stats.AppStats) float64 { return float64(a.Requests) }),
		app("exceptions_total", counter, "Total number of exceptions.", func(a stats.AppStats) float64 { return float64(a.Exceptions) }),
	}
}
