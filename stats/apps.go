package stats

import "maps"

// App is an application at its place in a server. The zero App is nobody: what belongs to
// no app is counted there.
type App struct {
	Name       string // as the program registered it
	Mountpoint string // path prefix without a slash at its end; "" is the root
}

// AppCounters is what an app has done so far. Each only grows. The fields are those of
// Counters.
type AppCounters struct {
	Requests   uint64
	Exceptions uint64
	Busy       uint64
	Status     [6]uint64
	Latency    [NumBuckets]uint64
	Rejects    Rejects
}

// Add sums field by field.
func (c AppCounters) Add(o AppCounters) AppCounters {
	c.Requests += o.Requests
	c.Exceptions += o.Exceptions
	c.Busy += o.Busy
	grow(c.Status[:], o.Status[:])
	grow(c.Latency[:], o.Latency[:])
	grow(c.Rejects[:], o.Rejects[:])
	return c
}

// PlusApps adds what the apps of a process have done, under the same terms as Plus. Apps
// are matched by name and place, because a reload may move, add and remove them; one that
// is not there any more keeps its numbers. Counts beyond apps are nobody's.
func (l Ledger) PlusApps(apps []App, counts []AppCounters) Ledger {
	sum := make(map[App]AppCounters, len(l.Apps)+len(counts))
	maps.Copy(sum, l.Apps)
	for i, c := range counts {
		var a App
		if i < len(apps) {
			a = apps[i]
		}
		sum[a] = sum[a].Add(c)
	}
	l.Apps = sum
	return l
}

// FillApps makes a row for each app of known that is in the ledger; its place in known is
// its id. Tools tell rows apart by their id, so known must keep its order for the life of
// the server and grow at its end. mounted are the apps of the present process, with what
// the ledger does not know.
func (w *Worker) FillApps(l Ledger, known []App, mounted []AppStats) {
	w.Apps = nil
	for id, a := range known {
		c, ok := l.Apps[a]
		if !ok {
			continue // no process of this worker has had it
		}
		row := AppStats{Module: a.Name, Mountpoint: a.Mountpoint}
		for _, m := range mounted {
			if m.Module == a.Name && m.Mountpoint == a.Mountpoint {
				row = m
				row.Mounted = 1
			}
		}
		row.ID, row.Requests, row.Exceptions = id, c.Requests, c.Exceptions
		row.RunningTime = microseconds(c.Busy)
		row.StatusCodes, row.Latency = statusCodes(c.Status), latency(c.Latency, c.Busy)
		row.Rejected, row.Rejects = c.Rejects.Total(), c.Rejects.row()
		w.Apps = append(w.Apps, row)
	}
	w.Unmounted = l.Apps[App{}].Requests
}
