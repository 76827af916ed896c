package server_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const troubled = `
module = "echo"
processes = 2
threads = 4
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
control = "$DIR/control"
harakiri-graceful-timeout = "200ms"
crash-dir = "$DIR"

[[mount]]
path = "/trouble"
module = "trouble"
harakiri = "500ms"

[env]
GATE = "$DIR/gate"
`

// A handler that does not return, wherever it is stuck: its client is told, the place where it
// stands is named, its worker is replaced, and nobody else's request fails.
func TestAStuckHandlerHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, troubled)
	watch := watchTotals(t, i)
	loads := []*servertest.Load{
		servertest.Run(t, 2, servertest.Echo(i.HTTP("http").Transport, "http://site/")),
		servertest.Run(t, 2, servertest.Echo(i.UWSGI("uwsgi"), "http://site/")),
	}
	for n, c := range []struct{ path, function string }{
		{"/stuck/channel", "waitInAChannel"},
		{"/stuck/loop", "spinForEver"},
		{"/stuck/syscall", "readFromThePipe"},
		{"/stuck/child", "waitAsAChild"},
	} {
		rt := http.RoundTripper(i.UWSGI("uwsgi"))
		if n%2 == 0 {
			rt = i.HTTP("http").Transport
		}
		if status, body := get(t, rt, "http://site/trouble"+c.path); status != http.StatusGatewayTimeout || body != "Gateway Timeout\n" {
			t.Errorf("%s: answered %d %q", c.path, status, body)
		}
		told, before := time.Now(), i.Stats()
		i.WaitFor("the worker of "+c.path+" has a successor", func(s stats.Snapshot) bool {
			return s.Ready == 2 && !slices.Equal(workerPIDs(s), workerPIDs(before))
		})
		t.Logf("%s: its worker has a successor %v after the 504", c.path, time.Since(told).Round(time.Millisecond))
		i.WaitFor("the worker of "+c.path+" is replaced", func(s stats.Snapshot) bool { return harakiris(s) == uint64(n+1) && s.Ready == 2 })
		checkLooks(t, i, "/trouble"+c.path, c.function)
	}
	for _, l := range loads {
		l.MustLoseNothing()
	}
	watch.stop()
	s := i.Stats()
	if len(s.Crashes) > 0 || rejected(s) != 4 || troubles5xx(s) != 4 {
		t.Errorf("crashes %+v, %d requests are counted as over their limit, %d as answered 5xx", s.Crashes, rejected(s), troubles5xx(s))
	}
	if out, code := i.Command("status"); code != 0 || !strings.Contains(out, "GET /trouble/stuck/child used up 100 % of 500ms") || !strings.Contains(out, "server_test.troubles.func") {
		t.Errorf("status: %d, %s", code, out)
	}
}

// checkLooks finds the three looks at a request in the stats and in the log, each with the
// function in which it stands.
func checkLooks(t *testing.T, i *servertest.Instance, path, function string) {
	t.Helper()
	o := i.Stats().Overruns[0]
	if o.Path != path || o.Percent != 100 || o.LimitMS != 500 || len(o.Looks) != 3 {
		t.Errorf("%s: the stats have %+v", path, o)
	}
	for n, percent := range []int{50, 75, 100} {
		if n < len(o.Looks) && (o.Looks[n].Percent != percent || !strings.Contains(o.Looks[n].Stack, "."+function+"\n")) {
			t.Errorf("%s: look %d is %+v", path, n, o.Looks[n])
		}
	}
	for _, words := range []string{"request is slow", "request is over its limit (harakiri)"} {
		_, line, found := strings.Cut(i.Log(), words+": ")
		if !found || !strings.Contains(i.Log(), "path="+path) {
			t.Errorf("%s: not in the log: %q, %.300s", path, words, line)
		}
	}
	if !strings.Contains(i.Log(), "."+function+"\n") {
		t.Errorf("%s: the log does not name %s", path, function)
	}
}

func harakiris(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		n += w.HarakiriCount
	}
	return n
}

func rejected(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		n += w.Rejects.Harakiri
	}
	return n
}

func troubles5xx(s stats.Snapshot) (n uint64) {
	for _, w := range s.Workers {
		for _, a := range w.Apps {
			if a.Module == "trouble" {
				n += a.StatusCodes.ServerError
			}
		}
	}
	return n
}

// A handler that heeds its context costs no worker, nor does one that asked for more time. An
// answer that has begun is cut, not completed.
func TestALateHandlerCostsNoWorker(t *testing.T) {
	t.Parallel()
	// Who heeds has to have the time to, on a machine that is busy with something else, too.
	i := servertest.Launch(t, strings.Replace(troubled, `"200ms"`, `"2s"`, 1))
	pids := workerPIDs(i.Stats())
	for name, rt := range map[string]http.RoundTripper{"http": i.HTTP("http").Transport, "uwsgi": i.UWSGI("uwsgi")} {
		if status, _ := get(t, rt, "http://site/trouble/late"); status != http.StatusGatewayTimeout {
			t.Errorf("%s: late: %d", name, status)
		}
		if status, body := get(t, rt, "http://site/trouble/extended"); status != http.StatusOK {
			t.Errorf("%s: extended: %d %s", name, status, body)
		}
		if status, _ := get(t, rt, "http://site/anything"); status != http.StatusOK {
			t.Errorf("%s: afterwards: %d", name, status)
		}
	}
	if s := i.Stats(); rejected(s) != 2 || harakiris(s) != 0 || !slices.Equal(pids, workerPIDs(s)) {
		t.Errorf("%d over their limit, %d workers replaced, pids %v then %v", rejected(s), harakiris(s), pids, workerPIDs(s))
	}
	req, err := http.NewRequest("GET", "http://site/trouble/begun", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := i.HTTP("http").Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil || string(body) != "and then" {
		t.Errorf("an answer that was cut: %q, %v", body, err)
	}
}

func workerPIDs(s stats.Snapshot) (pids []int) {
	for _, w := range s.Workers {
		pids = append(pids, w.PID)
	}
	return pids
}
