package static

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/static/attacks"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened serves places until the end of the test. What no file is there for is answered
// 404 "not a file".
func opened(t *testing.T, o Options) http.Handler {
	t.Helper()
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := f.Find(r, "")
		if found == nil {
			http.Error(w, "not a file", http.StatusNotFound)
			return
		}
		found.ServeHTTP(w, r)
	})
}

// folder makes a folder of name, content, name, content ...
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func ask(h http.Handler, target string, header ...string) *http.Response {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNoAttackFindsAFile(t *testing.T) {
	dir := t.TempDir()
	if err := attacks.Plant(dir); err != nil {
		t.Fatal(err)
	}
	f, err := Open(Options{Places: []Place{
		{Prefix: "/static", Path: filepath.Join(dir, "root")}, {Path: filepath.Join(dir, "root")},
	}, Index: []string{"index.html"}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for _, prefix := range []string{"/static", ""} {
		for _, target := range attacks.Targets(prefix) {
			n++
			r := &http.Request{Method: "GET", URL: attacks.URL(target)}
			if found := f.Find(r, ""); found != nil {
				text, _ := io.ReadAll(&found.content)
				t.Errorf("%q finds a file: %q", target, text)
				found.Close()
			}
		}
	}
	if n < 80 {
		t.Errorf("%d attacks, want 40 for each prefix", n)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/app.css", nil)
	r.Header.Set("Accept-Encoding", "gzip, zstd")
	f.Find(r, "").ServeHTTP(rec, r)
	if got := rec.Body.String(); got != "body {}" || rec.Header().Get("Content-Encoding") != "" {
		t.Errorf("a sibling that leads out of the folder is sent: %q", got)
	}
	for _, target := range []string{"/static/app.css", "/static/sub/page.html", "/static/link-in", "/app.css", "/static/sub%2Fpage.html"} {
		found := f.Find(&http.Request{Method: "GET", URL: attacks.URL(target)}, "")
		if found == nil {
			t.Errorf("%s finds nothing", target)
			continue
		}
		found.Close()
	}
}

// A pipe that nobody writes to would hold the request for ever.
func TestNoSpecialFileIsOpenedOrWaitedFor(t *testing.T) {
	t.Parallel()
	dir := folder(t, "a.txt", "a")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := opened(t, Options{Places: []Place{{Path: dir}}})
	if res := ask(h, "/pipe"); res.StatusCode != 404 {
		t.Errorf("a pipe was answered %d", res.StatusCode)
	}
	if _, err := OpenFile(filepath.Join(dir, "pipe")); !os.IsNotExist(err) {
		t.Errorf("OpenFile of a pipe: %v", err)
	}
}

func TestPlacesAndIndexes(t *testing.T) {
	t.Parallel()
	a := folder(t, "index.html", "first", "x.txt", "ax", "docs/index.htm", "docs", "sub/y.txt", "y", "a:b/index.html", "colon")
	b := folder(t, "x.txt", "bx", "z.txt", "bz")
	icon := filepath.Join(folder(t, "favicon.ico", "icon"), "favicon.ico")
	h := opened(t, Options{
		Places: []Place{{Prefix: "/static", Path: a}, {Prefix: "/static", Path: b}, {Prefix: "/favicon.ico", Path: icon}, {Prefix: "", Path: b}},
		Index:  []string{"index.html", "index.htm"},
	})
	for target, want := range map[string]string{
		"/static/x.txt":       "200 ax",
		"/static/z.txt":       "200 bz", // the second place of that prefix
		"/x.txt":              "200 bx",
		"/static/":            "200 first",
		"/static":             "307 ./static/",
		"/static/docs/":       "200 docs",
		"/static/docs":        "307 ./docs/",
		"/static/docs?q=1":    "307 ./docs/?q=1",
		"/static/a:b":         "307 ./a:b/",
		"/static//":           "404 not a file\n", // not back to itself
		"//":                  "404 not a file\n",
		"/static/nothing":     "404 not a file\n",
		"/static/sub/":        "404 not a file\n", // no index, no list
		"/static/sub":         "404 not a file\n",
		"/static/x.txt/":      "404 not a file\n",
		"/favicon.ico":        "200 icon",
		"/favicon.ico/":       "404 not a file\n",
		"/favicon.icon":       "404 not a file\n",
		"/statics/x.txt":      "404 not a file\n",
		"/static/nothing.txt": "404 not a file\n",
	} {
		res := ask(h, target)
		got := fmt.Sprint(res.StatusCode, " ", res.Header.Get("Location"), body(t, res))
		if got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	r := httptest.NewRequest("POST", "/x.txt", nil)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 404 {
		t.Errorf("a POST was answered with a file: %d", rec.Code)
	}
}

func TestClientsViewOfThePathDecides(t *testing.T) {
	t.Parallel()
	f, err := Open(Options{Places: []Place{{Prefix: "/shop/static", Path: folder(t, "a.txt", "shop")}, {Prefix: "/static", Path: folder(t, "a.txt", "root")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for script, want := range map[string]string{"": "root", "/shop": "shop", "/elsewhere": "root"} {
		found := f.Find(httptest.NewRequest("GET", "/static/a.txt", nil), script)
		text, _ := io.ReadAll(&found.content)
		if found.Close(); string(text) != want {
			t.Errorf("below %q: %q, want %q", script, text, want)
		}
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	_, err := Open(Options{Places: []Place{{Path: t.TempDir()}, {Path: missing}}})
	if err == nil || err.Error() != missing+": no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestAnswersCanBeCheckedAndCutIntoParts(t *testing.T) {
	t.Parallel()
	dir := folder(t, "a.txt", "0123456789")
	h := opened(t, Options{Places: []Place{{Path: dir}}})
	res := ask(h, "/a.txt")
	tag, modified := res.Header.Get("Etag"), res.Header.Get("Last-Modified")
	if tag == "" || modified == "" || res.Header.Get("Accept-Ranges") != "bytes" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("header %v", res.Header)
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a client may guess another type: %v", res.Header)
	}
	head := httptest.NewRecorder()
	h.ServeHTTP(head, httptest.NewRequest("HEAD", "/a.txt", nil))
	if head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("Content-Length") != "10" {
		t.Errorf("HEAD: %d, %d bytes, %v", head.Code, head.Body.Len(), head.Header())
	}
	for _, c := range []struct {
		name, value string
		status      int
		body        string
	}{
		{"If-None-Match", tag, 304, ""}, {"If-None-Match", `"other"`, 200, "0123456789"},
		{"If-Modified-Since", modified, 304, ""}, {"If-Match", `"other"`, 412, ""},
		{"Range", "bytes=2-4", 206, "234"}, {"Range", "bytes=-3", 206, "789"}, {"Range", "bytes=20-", 416, "invalid range: failed to overlap\n"},
	} {
		res := ask(h, "/a.txt", c.name, c.value)
		if got := body(t, res); res.StatusCode != c.status || got != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.name, c.value, res.StatusCode, got, c.status, c.body)
		}
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), later, later); err != nil {
		t.Fatal(err)
	}
	if res := ask(h, "/a.txt", "If-None-Match", tag); res.StatusCode != 200 {
		t.Errorf("a file that changed: %d", res.StatusCode)
	}
}

func TestSiblingsGoToWhoUnderstandsThem(t *testing.T) {
	t.Parallel()
	dir := folder(t, "a.css", "plain", "a.css.gz", "gzip", "a.css.zst", "zstd!", "b.css", "plain", "p.png", "plain", "p.png.gz", "gzip",
		"old.js", "plain", "old.js.gz", "gzip")
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "old.js.gz"), before, before); err != nil {
		t.Fatal(err)
	}
	h := opened(t, Options{Places: []Place{{Path: dir}}})
	for _, c := range []struct{ target, accept, want string }{
		{"/a.css", "gzip, deflate, br, zstd", "zstd!|zstd|Accept-Encoding|5"},
		{"/a.css", "gzip", "gzip|gzip|Accept-Encoding|4"},
		{"/a.css", "GZIP;Q=1.0", "gzip|gzip|Accept-Encoding|4"},
		{"/a.css", "zstd;q=0, gzip ; q=0.5", "gzip|gzip|Accept-Encoding|4"},
		{"/a.css", "gzip;q=0", "plain||Accept-Encoding|5"},
		{"/a.css", "identity", "plain||Accept-Encoding|5"},
		{"/a.css", "", "plain||Accept-Encoding|5"},
		{"/b.css", "gzip", "plain||Accept-Encoding|5"},
		{"/p.png", "gzip", "plain|||5"},
		{"/old.js", "gzip", "plain||Accept-Encoding|5"}, // of what the file was before
	} {
		res := ask(h, c.target, "Accept-Encoding", c.accept)
		got := strings.Join([]string{body(t, res), res.Header.Get("Content-Encoding"), res.Header.Get("Vary"), res.Header.Get("Content-Length")}, "|")
		if got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.target, c.accept, got, c.want)
		}
	}
	plain, packed := ask(h, "/a.css").Header.Get("Etag"), ask(h, "/a.css", "Accept-Encoding", "gzip").Header
	if plain == packed.Get("Etag") || packed.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("a sibling has the Etag %s, as the file, or the type %s", plain, packed.Get("Content-Type"))
	}
	res := ask(h, "/a.css", "Accept-Encoding", "gzip", "If-Match", `"none"`)
	if got := body(t, res); res.StatusCode != 412 || got != "" || res.Header.Get("Content-Length") != "" {
		t.Errorf("a failed precondition: %d %q, length %q", res.StatusCode, got, res.Header.Get("Content-Length"))
	}
	if res := ask(h, "/a.css", "Accept-Encoding", "gzip", "Range", "bytes=1-2"); res.StatusCode != 206 || res.Header.Get("Content-Length") != "2" {
		t.Errorf("a part of a sibling: %d, length %s", res.StatusCode, res.Header.Get("Content-Length"))
	}
}

func TestOnlyHashedNamesLast(t *testing.T) {
	t.Parallel()
	hashed := HashedName("css/app.css", "0123456789abcdef")
	m := Manifest{Assets: map[string]string{"css/app.css": hashed, "odd.0123456789ab.css": "odd.0123456789ab.ba9876543210.css"}}
	for name, want := range map[string]bool{
		"css/app.css": false, hashed: true, "later.ba9876543210.js": true, "app.js.ba9876543210.map": true, "LICENSE.ba9876543210": true,
		"odd.0123456789ab.css": false, "jquery.3.7.1.js": false, "a.0123456789AB.js": false, ".0123456789ab.js": false,
	} {
		if m.Lasting(name) != want {
			t.Errorf("%s: %v, want %v", name, !want, want)
		}
	}
	if (Manifest{}).Lasting(hashed) {
		t.Error("without hashed names something lasts")
	}
	dir := folder(t, hashed, "x", "css/app.css", "x")
	h := opened(t, Options{Places: []Place{{Path: dir, Lasting: m.Lasting}}})
	if got := ask(h, "/"+hashed).Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control of a hashed name: %q", got)
	}
	if got := ask(h, "/css/app.css").Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of a plain name: %q", got)
	}
}

func FuzzNothingServableLeadsOut(f *testing.F) {
	for _, target := range attacks.Targets("") {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !Servable(name) {
			return
		}
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.ContainsAny(name, "\x00\\") || strings.Contains("/"+name, "/.") {
			t.Errorf("%q is servable", name)
		}
	})
}

// ServeContent does not say how long what is encoded is, and without its length it is not sent
// by the kernel.
func TestASiblingsLengthIsSaidAlsoWhenItIsAskedForAgain(t *testing.T) {
	dir := folder(t, "app.css", "body {}", "app.css.gz", "compressed")
	res := ask(opened(t, Options{Places: []Place{{Path: dir}}}), "/app.css", "Accept-Encoding", "gzip", "If-None-Match", `"another"`)
	if got := body(t, res); got != "compressed" || res.Header.Get("Content-Length") != "10" || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s %q %v", res.Status, got, res.Header)
	}
}
