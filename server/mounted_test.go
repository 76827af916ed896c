package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
)

const mounted = `
module = "echo"
processes = 3
threads = 4
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
chdir = "$DIR"
disable-logging = true
[[mount]]
path = "/t"
module = "place"
[[mount]]
path = "/p/"
module = "panics"
[[mount]]
path = "/t/deep"
module = "place"
`

// appSums adds the rows of all workers, by path.
func appSums(s stats.Snapshot) map[string]stats.AppCounters {
	sums := map[string]stats.AppCounters{}
	for _, w := range s.Workers {
		for _, a := range w.Apps {
			sums[a.Mountpoint] = sums[a.Mountpoint].Add(stats.AppCounters{Requests: a.Requests, Exceptions: a.Exceptions})
		}
		sums["none"] = sums["none"].Add(stats.AppCounters{Requests: w.Unmounted})
	}
	return sums
}

// ids are the numbers of the apps, which all workers must agree on.
func ids(t *testing.T, s stats.Snapshot) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, w := range s.Workers {
		for _, a := range w.Apps {
			key := a.Module + " at " + a.Mountpoint
			if id, ok := seen[key]; ok && id != a.ID {
				t.Errorf("%s is app %d in one worker and %d in another", key, id, a.ID)
			}
			seen[key] = a.ID
		}
	}
	return seen
}

// killAll kills every worker and waits for their successors.
func killAll(t *testing.T, i *servertest.Instance) {
	t.Helper()
	var killed []int
	for _, w := range i.Stats().Workers {
		if w.PID <= 1 {
			continue // a row without a process; as a pid, 0 would mean this test itself
		}
		if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed = append(killed, w.PID)
	}
	i.WaitFor("every worker was started again", func(s stats.Snapshot) bool {
		return s.Ready == len(killed) && !slices.ContainsFunc(s.Workers, func(w stats.Worker) bool { return slices.Contains(killed, w.PID) })
	})
}

// Several apps in a process, over both protocols: each gets its own requests, and
// their numbers are exact after kill -9.
func TestMountedAppsAreCountedEach(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, mounted, apps()...)
	transports := map[string]http.RoundTripper{"http": i.HTTP("http").Transport, "uwsgi": i.UWSGI("uwsgi")}
	const rounds = 20
	ask := func() {
		for name, rt := range transports {
			for n := range rounds {
				for target, want := range map[string]string{
					"/t/a%2Fb":   `200 "/t" "/a/b" "/a%2Fb"`,
					"/t/deep/x":  `200 "/t/deep" "/x" ""`,
					"/t/deeper":  `200 "/t" "/deeper" ""`,
					"/p/x":       "500 Internal Server Error\n",
					"/elsewhere": "200 ",
				} {
					status, body := get(t, rt, "http://a"+target)
					if got := fmt.Sprint(status, " ", body); got != want {
						t.Fatalf("%s %s, round %d: %q, want %q", name, target, n, got, want)
					}
				}
			}
		}
	}
	ask()
	i.WaitFor("every request is counted", func(s stats.Snapshot) bool { return appSums(s)["/t"].Requests == 4*rounds && busy(s) == 0 })
	killAll(t, i)
	ask()
	want := map[string]stats.AppCounters{
		"": {Requests: 4 * rounds}, "/t": {Requests: 8 * rounds}, "/t/deep": {Requests: 4 * rounds},
		"/p": {Requests: 4 * rounds, Exceptions: 4 * rounds}, "none": {},
	}
	// A request is counted when its slot comes back, a moment after its answer.
	s := i.WaitFor("every request is counted", func(s stats.Snapshot) bool { return fmt.Sprint(appSums(s)) == fmt.Sprint(want) })
	for _, w := range s.Workers {
		var requests, exceptions uint64
		for _, a := range w.Apps {
			requests, exceptions = requests+a.Requests, exceptions+a.Exceptions
			if a.Modifier1 != 0 || a.Mounted != 1 || a.Chdir != i.Dir {
				t.Errorf("worker %d: %+v", w.ID, a)
			}
		}
		if requests != w.Requests || exceptions != w.Exceptions {
			t.Errorf("worker %d has %d requests and %d exceptions, its apps %d and %d", w.ID, w.Requests, w.Exceptions, requests, exceptions)
		}
	}
	if got, want := ids(t, s), map[string]int{"echo at ": 0, "place at /t": 1, "panics at /p": 2, "place at /t/deep": 3}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if out, code := i.Command("status", "--control", i.Dir+"/pid.ctl"); code != 0 || !strings.Contains(out, "panics  /p       80        80") {
		t.Errorf("status: %d\n%s", code, out)
	}
}

// The same app behind a front end that strips the prefix itself, as Apache does.
func TestAFrontEndMayStripThePrefixOfAMount(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, mounted, apps()...)
	client := i.UWSGI("uwsgi")
	client.Vars = uwsgi.Vars{{Name: "SCRIPT_NAME", Value: "/t"}, {Name: "PATH_INFO", Value: "/deep/x"}}
	if status, body := get(t, client, "http://a/t/deep/x"); status != 200 || body != `"/t/deep" "/x" ""` {
		t.Errorf("%d %s", status, body)
	}
}

// place tells a mounted app's side of a request.
func place(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%q %q %q", server.ScriptName(r), r.URL.Path, r.URL.RawPath)
}

// posts are requests that no client sends twice.
func posts(rt http.RoundTripper) func() error {
	return func() error { return request(rt, http.MethodPost, "http://a/t/x") }
}

// A reload that adds, moves and removes mounts loses no request to those that stay,
// and no number.
func TestReloadChangesMounts(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, mounted, apps()...)
	httpClient, uwsgiClient := i.HTTP("http").Transport, i.UWSGI("uwsgi")
	for range 10 {
		get(t, httpClient, "http://a/p/x")
	}
	watch := watchTotals(t, i)
	loads := []*servertest.Load{servertest.Run(t, 3, posts(httpClient)), servertest.Run(t, 3, posts(uwsgiClient))}
	i.Write(keep + `
processes = 2
threads = 4
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
disable-logging = true
[[mount]]
path = "/new"
module = "place"
[[mount]]
path = "/t"
module = "place"
[[mount]]
path = "/p"
module = "echo"
`)
	reload := func() {
		t.Helper()
		if out, code := i.Command("reload"); code != 0 {
			t.Fatalf("reload: %d\n%s\n%s", code, out, i.Log())
		}
	}
	reload()
	for target, want := range map[string]int{"/new/x": 200, "/t/deep/x": 200, "/p/x": 200, "/elsewhere": 404, "/": 404} {
		for _, rt := range []http.RoundTripper{httpClient, uwsgiClient} {
			if status, body := get(t, rt, "http://a"+target); status != want {
				t.Errorf("%s after the reload: %d %q, want %d", target, status, body, want)
			}
		}
	}
	reload() // once more, of the same
	for _, l := range loads {
		l.MustLoseNothing()
	}
	answered := uint64(loads[0].Done() + loads[1].Done())
	i.WaitFor("every request is counted", func(s stats.Snapshot) bool { return appSums(s)["/t"].Requests >= answered+2 })
	killAll(t, i)
	s := i.Stats()
	watch.stop()
	sums := appSums(s)
	if got := sums["/t"].Requests; got != answered+2 {
		t.Errorf("/t has %d requests, %d were answered", got, answered+2)
	}
	if sums["none"].Requests != 4 || sums["/p"] != (stats.AppCounters{Requests: 12, Exceptions: 10}) {
		t.Errorf("sums %+v", sums)
	}
	want := map[string]int{"echo at ": 0, "place at /t": 1, "panics at /p": 2, "place at /t/deep": 3, "place at /new": 4, "echo at /p": 5}
	if got := ids(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ids %v, want those of before and new ones: %v", got, want)
	}
	for _, a := range s.Workers[0].Apps {
		if still := a.ID == 1 || a.ID >= 4; still != (a.Mounted == 1) {
			t.Errorf("%+v: mounted is wrong", a)
		}
	}
}

// One app that cannot start is the end of the start, and its name is in what the
// operator reads.
func TestTheAppThatCannotStartIsNamed(t *testing.T) {
	t.Parallel()
	for module, want := range map[string]string{
		"refuses":         `app "refuses": no database at db.example:5432`,
		"panics-at-start": `app "panics-at-start": panic: the chimney is on fire`,
		"nobody":          `app.toml:4: mount[0]: module "nobody" is not in this program`,
	} {
		path := filepath.Join(servertest.Dir(t), "app.toml")
		text := "module = \"echo\"\nhttp-socket = \"http\"\npidfile = \"pid\"\n[[mount]]\npath = \"/a\"\nmodule = \"" + module + "\"\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		wantCode := 3
		if module == "nobody" {
			wantCode = 2
		}
		if out, code := servertest.Command(t, "--config", path); code != wantCode || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", module, code, wantCode, want, out)
		}
	}
}

func TestThePlanShowsTheMounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(servertest.Dir(t), "app.toml")
	text := "http-socket = \"http\"\npidfile = \"pid\"\n[[mount]]\npath = \"/a/\"\nmodule = \"echo\"\n[[mount]]\npath = \"/b\"\nmodule = \"place\"\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := servertest.Command(t, "plan", "--config", path)
	if want := "serve      echo at /a\nserve      place at /b\nserve      404 for everything else\n"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("plan: exit code %d, want\n%s in\n%s", code, want, out)
	}
	if out, code := servertest.Command(t, "check", "--config", path); code != 0 || !strings.HasSuffix(out, "ok\n") {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
}

// master = false counts like a worker.
func TestMountsWithoutAMaster(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, "master = false\n"+strings.Replace(mounted, "processes = 3\n", "", 1))
	for target, want := range map[string]string{"/t/deep/x": `"/t/deep" "/x" ""`, "/p/x": "Internal Server Error\n"} {
		if _, body := get(t, i.HTTP("http").Transport, "http://a"+target); body != want {
			t.Errorf("%s: %q, want %q", target, body, want)
		}
	}
	s := i.WaitFor("both requests are counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests == 2 })
	if got := appSums(s); got["/t/deep"].Requests != 1 || got["/p"] != (stats.AppCounters{Requests: 1, Exceptions: 1}) || len(s.Workers[0].Apps) != 4 {
		t.Errorf("apps %+v", s.Workers[0].Apps)
	}
}
