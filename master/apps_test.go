package master

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
)

// A reload may move, add and remove apps: each keeps its number and its row, also in a
// worker that comes later.
func TestAppsKeepTheirNumbersOverReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home, shop, blog := stats.App{Name: "home"}, stats.App{Name: "shop", Mountpoint: "/shop"}, stats.App{Name: "blog", Mountpoint: "/blog"}
		l := &fakeLauncher{live: good}
		plan := Plan{Workers: 1, Threads: 2, Dir: "/srv", Apps: []stats.App{home, shop}}
		m := New(Options{
			Load: func(context.Context) (Plan, Launcher, error) { return plan, l, nil },
			Log:  hclog.NewNullLogger(),
		})
		ended := make(chan error, 1)
		go func() { ended <- m.Run(t.Context()) }()
		<-m.Started()
		serve := func(slot, app int) {
			page := l.latest(slot).page
			page.Slot(1).Begin(1, time.Now(), "GET", "/", "")
			page.Slot(1).AddException(app)
			page.Slot(1).End(app, 200, time.Millisecond)
			page.SetStartup(max(app, 0), 3*time.Second)
		}
		serve(1, 0)
		serve(1, 1)
		serve(1, -1)
		want := "[{0 0  3 1 1 /srv home 1} {1 0 /shop 3 1 1 /srv shop 1}]"
		if w := m.Snapshot().Workers[0]; appRows(w) != want || w.Unmounted != 1 || w.Requests != 3 || w.Exceptions != 3 {
			t.Errorf("before the reload %v, want %s; %+v", w.Apps, want, w)
		}

		l.latest(1).kill()
		synctest.Wait()
		want = "[{0 0  0 1 1 /srv home 0} {1 0 /shop 0 1 1 /srv shop 0}]"
		if w := m.Snapshot().Workers[0]; w.PID != 0 || appRows(w) != want {
			t.Errorf("without a process (%d, %s) %s, want %s", w.PID, w.State, appRows(w), want)
		}

		plan = Plan{Workers: 2, Threads: 2, Dir: "/opt", Apps: []stats.App{blog, home}}
		if _, err := m.Reload(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		serve(1, 0)
		serve(2, 1)
		l.latest(2).kill() // exact after SIGKILL
		synctest.Wait()
		s := m.Snapshot()
		want = "[{0 0  0 1 1 /opt home 1} {1 0 /shop 0 1 1 /opt shop 0} {2 0 /blog 3 1 1 /opt blog 1}]"
		if got := appRows(s.Workers[0]); got != want {
			t.Errorf("worker 1 after the reload\n%s, want\n%s", got, want)
		}
		if got := appRows(s.Workers[1]); !strings.HasPrefix(got, "[{0 0  0 1 1 ") || strings.Contains(got, "shop") || !strings.Contains(got, "{2 0 /blog 0 0 0 ") {
			t.Errorf("worker 2 after the reload: %s", got)
		}
		m.Stop(false)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// appRows is id, place, startup, requests and exceptions, folder, name, and whether it is mounted.
func appRows(w stats.Worker) string {
	var rows []string
	for _, a := range w.Apps {
		rows = append(rows, fmt.Sprint(struct {
			id, modifier         int
			place                string
			startup              int64
			requests, exceptions uint64
			dir, name            string
			mounted              int
		}{a.ID, a.Modifier1, a.Mountpoint, a.StartupTime, a.Requests, a.Exceptions, a.Chdir, a.Module, a.Mounted}))
	}
	return fmt.Sprint(rows)
}

func TestAPlanWithAnAppTwiceIsRefused(t *testing.T) {
	a := stats.App{Name: "a", Mountpoint: "/a"}
	for _, apps := range [][]stats.App{{a, a}, {{}}} {
		if err := (Plan{Workers: 1, Threads: 1, Apps: apps}).check(); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%+v: %v", apps, err)
		}
	}
}
