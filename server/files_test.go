package server_test

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/server/static/attacks"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
)

//go:embed testdata/static
var pageFiles embed.FS

// pageApp is an app with static files. It tells the address of the one that the query names, as
// the context of a request and that of New see it, or sends the file at a path.
func pageApp() server.App {
	files, err := fs.Sub(pageFiles, "testdata/static")
	if err != nil {
		panic(err)
	}
	return server.App{Name: "page", Static: files, New: func(ctx context.Context) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name := r.URL.Query().Get("send"); name != "" {
				w.Header().Set("Cache-Control", "private, max-age=60")
				server.SendFile(w, r, name)
				return
			}
			name := r.URL.Query().Get("name")
			fmt.Fprintf(w, "app %s %s %s", r.URL.Path, server.StaticURL(ctx, name), server.StaticURL(r.Context(), name))
		}), nil
	}}
}

// filesOf serves a planted folder at /static and at the root, over both protocols.
func filesOf(t *testing.T, more string) (i *servertest.Instance, root string) {
	t.Helper()
	dir := servertest.Dir(t)
	if err := attacks.Plant(dir); err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(dir, "root")
	return servertest.Start(t, fmt.Sprintf(`
module = "page"
processes = 1
threads = 4
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
static-map = "/static=%s"
check-static = %q
static-index = "index.html"
disable-logging = true
%s`, root, root, more), apps()...), root
}

// answerTo sends bytes to a socket of the instance and reads to the end of the answer.
func answerTo(t *testing.T, i *servertest.Instance, socket string, request []byte) string {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(i.Dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// uwsgiRequest is what a front end sends. nginx decodes PATH_INFO and leaves REQUEST_URI as
// the client wrote it.
func uwsgiRequest(target, pathInfo string) []byte {
	var vars bytes.Buffer
	for _, kv := range [][2]string{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", target}, {"PATH_INFO", pathInfo}, {"SERVER_PROTOCOL", "HTTP/1.1"}, {"HTTP_HOST", "a"}, {"QUERY_STRING", ""}} {
		for _, s := range kv {
			vars.WriteByte(byte(len(s)))
			vars.WriteByte(byte(len(s) >> 8))
			vars.WriteString(s)
		}
	}
	n := vars.Len()
	return append([]byte{uwsgi.ModifierRequest, byte(n), byte(n >> 8), 0}, vars.Bytes()...)
}

// Every attack, as it stands in a request line and in the variables of a front end: none is
// answered with anything but the app's own page or a refusal.
func TestNoAttackOnRealSocketsGetsAFile(t *testing.T) {
	t.Parallel()
	i, _ := filesOf(t, "")
	judge := func(how, target, answer string) {
		t.Helper()
		status, body, _ := strings.Cut(answer, "\r\n\r\n")
		status, _, _ = strings.Cut(status, "\r\n")
		refused := strings.HasPrefix(status, "HTTP/1.1 400")
		if strings.Contains(answer, attacks.Secret) || strings.Contains(answer, "root:") || !refused && !strings.Contains(body, "app ") {
			t.Errorf("%s %q: %s\n%.200s", how, target, status, body)
		}
	}
	n := 0
	for _, prefix := range []string{"/static", ""} {
		for _, target := range attacks.Targets(prefix) {
			n += 2
			judge("http", target, answerTo(t, i, "http", []byte("GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")))
			judge("uwsgi", target, answerTo(t, i, "uwsgi", uwsgiRequest(target, attacks.URL(target).Path)))
			judge("uwsgi without a decoded path", target, answerTo(t, i, "uwsgi", uwsgiRequest(target, target)))
		}
	}
	if n < 160 {
		t.Errorf("%d attacks", n)
	}
	for _, good := range []string{"/static/app.css", "/app.css", "/static/link-in"} {
		if answer := answerTo(t, i, "uwsgi", uwsgiRequest(good, good)); !strings.HasSuffix(answer, "body {}") {
			t.Errorf("%s: %s", good, answer)
		}
	}
	for _, w := range i.Stats().Workers {
		if w.Exceptions > 0 || w.RespawnCount != 1 {
			t.Errorf("%d exceptions, %d processes", w.Exceptions, w.RespawnCount)
		}
	}
}

func TestFilesComeBeforeAppsAndAreCounted(t *testing.T) {
	t.Parallel()
	i, root := filesOf(t, "[[mount]]\npath = \"/t\"\nmodule = \"place\"\n")
	if err := os.WriteFile(filepath.Join(root, "big.bin"), bytes.Repeat([]byte("0123456789"), 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, rt := range map[string]http.RoundTripper{"http": i.HTTP("http").Transport, "h2c": i.HTTP2("http", nil).Transport, "uwsgi": i.UWSGI("uwsgi")} {
		for target, want := range map[string]string{
			"/static/app.css":     "200 body {}",
			"/static/nothing.css": "200 app /static/nothing.css /static/ /static/",
			"/t/app.css":          `200 "/t" "/app.css" ""`,
			"/app.css":            "200 body {}",
		} {
			status, body := get(t, rt, "http://a"+target)
			if got := fmt.Sprint(status, " ", body); got != want {
				t.Errorf("%s %s: %q, want %q", name, target, got, want)
			}
		}
		for range 3 { // the second finds it open, and in memory
			if status, body := get(t, rt, "http://a/static/big.bin"); status != 200 || body != strings.Repeat("0123456789", 100_000) {
				t.Errorf("%s: a large file is answered %d with %d bytes", name, status, len(body))
			}
		}
		ranged(t, rt, "http://a/static/big.bin")
	}
	s := i.WaitFor("every request is counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests == 24 && busy(s) == 0 })
	var static uint64
	for _, c := range s.Workers[0].Cores {
		static += c.StaticRequests
	}
	counts := map[string]uint64{}
	for _, a := range s.Workers[0].Apps {
		counts[a.Module] = a.Requests
	}
	if want := map[string]uint64{"page": 3, "place": 3, "(static files)": 18}; fmt.Sprint(counts) != fmt.Sprint(want) || static != 18 || s.Workers[0].Unmounted != 0 {
		t.Errorf("apps %v, want %v; %d static requests, want 18; %d of nobody", counts, want, static, s.Workers[0].Unmounted)
	}
}

func ranged(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=500000-500004")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 206 || string(body) != "01234" {
		t.Errorf("a part: %d %q %v", resp.StatusCode, body, err)
	}
}

func TestAFolderThatIsNotThereIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`static-map = "/s=/nonexistent/x"`:                 "static-map, check-static: /nonexistent/x: no such file or directory",
		`static-root = "/nonexistent/x"`:                   "static-root: /nonexistent/x is not there: run collectstatic first",
		"static-hashed = true\nstatic-root = \"$DIR/sub\"": "static-hashed: no hashed names are in",
	} {
		dir := servertest.Dir(t)
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "app.toml")
		text := "module = \"page\"\nprocesses = 1\nhttp-socket = \"http\"\nlogto = \"log\"\n" + strings.ReplaceAll(config, "$DIR", dir)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		err := server.Run(t.Context(), server.Options{Config: file, Apps: apps()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}
