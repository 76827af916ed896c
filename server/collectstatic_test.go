package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// collectStatic runs the command with a configuration of its own.
func collectStatic(t *testing.T, toml string, flags ...string) (out string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "collect.toml")
	if err := os.WriteFile(file, []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], append([]string{"collectstatic", "--config", file}, flags...)...)
	text, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(text), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return string(text), 0
}

// collected is what a test collects into dir/static.
func collected(t *testing.T, dir, more string) (keys string) {
	t.Helper()
	keys = fmt.Sprintf("static-root = %q\nhttp-socket = \"$DIR/http\"\nsocket = \"$DIR/uwsgi\"\nmodule = \"page\"\nprocesses = 1\n%s\n", filepath.Join(dir, "static"), more)
	if out, code := collectStatic(t, strings.ReplaceAll(keys, "$DIR", dir)); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	return keys
}

func TestCollectStaticIsACommandOfEveryProgram(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	root, extra := filepath.Join(dir, "static"), filepath.Join(dir, "extra")
	if err := os.MkdirAll(filepath.Join(extra, "page"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(extra, "robots.txt"), []byte("User-agent: *\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	keys := fmt.Sprintf("static-root = %q\nstatic-dirs = %q\nsocket = \"x\"\n", root, extra) // no module: it is not served
	for _, c := range []struct {
		flags []string
		want  string
		code  int
	}{
		{[]string{"--dry-run"}, `dry run, nothing was changed: ` + root + `: 3 files from app "page", ` + extra + `: 3 copied, 0 linked, 0 unchanged`, 0},
		{nil, `: 3 copied, 0 linked, 0 unchanged, 0 compressed, 0 removed`, 0},
		{nil, `: 0 copied, 0 linked, 3 unchanged, 0 compressed, 0 removed`, 0},
		{[]string{"--link"}, `: 0 copied, 1 linked, 2 unchanged`, 0},
		{[]string{"--clear"}, `: 1 copied, 0 linked, 2 unchanged, 0 compressed, 0 removed`, 0},
		{[]string{"--all"}, "flag provided but not defined: -all", 2},
		{[]string{"now"}, "collectstatic takes no argument \"now\"", 2},
	} {
		if out, code := collectStatic(t, keys, c.flags...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit code %d, want %d\n%swant %s", c.flags, code, c.code, out, c.want)
		}
	}
	if out, code := collectStatic(t, "socket = \"x\"\n"); code != 2 || !strings.Contains(out, "collect.toml: static-root is not set") {
		t.Errorf("without static-root: exit code %d\n%s", code, out)
	}
	if err := os.WriteFile(filepath.Join(extra, "page", "app.css"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := collectStatic(t, keys); code != 1 || !strings.Contains(out, `page/app.css is in app "page" and, with another content, in `+extra) {
		t.Errorf("a collision: exit code %d\n%s", code, out)
	}
}

// The whole way: collected, asked for by name in New and in a request, over every protocol,
// at the root and below a mount; and after a reload with another version.
func TestPagesNameFilesThatLast(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	more := filepath.Join(dir, "more")
	if err := os.Mkdir(more, 0o755); err != nil {
		t.Fatal(err)
	}
	keys := collected(t, dir, fmt.Sprintf("static-hashed = true\nstatic-dirs = %q", more))
	i := servertest.Start(t, keys+secure("https", dir, "one")+"[[mount]]\npath = \"/m\"\nmodule = \"page\"\n", apps()...)
	names := map[string]bool{}
	for name, rt := range map[string]http.RoundTripper{
		"http": i.HTTP("http").Transport, "h2c": i.HTTP2("http", nil).Transport, "uwsgi": i.UWSGI("uwsgi"),
		"https": i.HTTPS("https", roots).Transport, "h2": i.HTTP2("https", roots).Transport,
	} {
		url := "http://localhost"
		if strings.HasPrefix(name, "h") && name != "http" && name != "h2c" {
			url = "https://localhost"
		}
		for _, path := range []string{"/", "/m/"} {
			_, body := get(t, rt, url+path+"?name=page/app.css")
			f := strings.Fields(body)
			if len(f) != 4 || f[2] != f[3] || !strings.HasPrefix(f[2], "/static/page/app.") || f[2] == "/static/page/app.css" {
				t.Fatalf("%s %s: %s", name, path, body)
			}
			names[f[2]] = true
		}
		for asset := range names {
			lasts(t, rt, url+asset)
		}
	}
	if len(names) != 1 {
		t.Errorf("one file has the names %v", names)
	}
	if _, body := get(t, i.HTTP("http").Transport, "http://a/?name=/no%20such.css"); !strings.HasSuffix(body, " /static/no%20such.css") {
		t.Errorf("a name that was not collected: %s", body)
	}
	newVersion(t, i, more, names)
}

// lasts wants a style sheet that may be kept for ever, with hashed names in it.
func lasts(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s: %d %v", url, resp.StatusCode, resp.Header)
	}
	if _, body := get(t, rt, url); !strings.Contains(body, "url(horse.") || strings.Contains(body, "url(horse.svg)") {
		t.Errorf("%s: %s", url, body)
	}
}

// newVersion collects again, with a file more, and reloads.
func newVersion(t *testing.T, i *servertest.Instance, more string, before map[string]bool) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(more, "new.js"), []byte("let x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := i.Command("collectstatic", "--clear"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	i.Signal(syscall.SIGHUP)
	i.WaitFor("the new generation serves", func(s stats.Snapshot) bool { return s.Generation == 2 && s.State == "serving" })
	rt := i.HTTP("http").Transport
	i.Until("pages name the new file", func() bool {
		_, body := get(t, rt, "http://a/?name=new.js")
		return strings.Contains(body, " /static/new.") && !strings.Contains(body, "/static/new.js")
	})
	for asset := range before { // it has not changed
		lasts(t, rt, "http://a"+asset)
	}
}

func TestAFrontEndSendsFilesForHandlers(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	inside, outside := filepath.Join(dir, "files", "a b.txt"), filepath.Join(dir, "other.txt")
	if err := os.Mkdir(filepath.Dir(inside), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{inside, outside} {
		if err := os.WriteFile(name, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	i := servertest.Start(t, fmt.Sprintf(`
module = "page"
processes = 1
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
trusted-proxies = "unix"
accel-redirect = "/internal/=%s"
`, filepath.Dir(inside)), apps()...)
	for _, c := range []struct{ socket, proto, send, want string }{
		{"uwsgi", "", inside, "200 /internal/a%20b.txt text/plain; charset=utf-8 "},
		{"http", "https", inside, "200 /internal/a%20b.txt text/plain; charset=utf-8 "},
		{"http", "", inside, "200  text/plain; charset=utf-8 content"}, // nobody is in front
		{"uwsgi", "", outside, "200  text/plain; charset=utf-8 content"},
		{"uwsgi", "", filepath.Dir(inside) + "/../other.txt", "200  text/plain; charset=utf-8 content"},
		{"http", "", dir, "404  text/plain; charset=utf-8 404 page not found\n"},
		{"http", "", inside + "x", "404  text/plain; charset=utf-8 404 page not found\n"},
	} {
		rt := http.RoundTripper(i.UWSGI("uwsgi"))
		if c.socket == "http" {
			rt = i.HTTP("http").Transport
		}
		if got := sent(t, rt, c.send, c.proto); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// sent asks the app to send a file: status, location of the front end, type and body.
func sent(t *testing.T, rt http.RoundTripper, name, proto string) string {
	t.Helper()
	req, err := http.NewRequest("GET", "http://a/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.RawQuery = "send=" + strings.ReplaceAll(name, " ", "%20")
	if proto != "" {
		req.Header.Set("X-Forwarded-Proto", proto)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if err := resp.Write(&body); err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Cache-Control"); resp.StatusCode == 200 && got != "private, max-age=60" {
		t.Errorf("the handler's Cache-Control became %q", got)
	}
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	return fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("X-Accel-Redirect"), " ", resp.Header.Get("Content-Type"), " ", text)
}
