package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/pool"
)

// teller says which app it is, what it was given, and where its links lead.
func teller(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %q %q %q %s", name, ScriptName(r), r.URL.Path, r.URL.RawPath, Link(r, "/cart"))
	})
}

// mounting is a pool around mounts, behind an http and a uwsgi listener.
type mounting struct {
	page       *scoreboard.Page
	http       *http.Client
	url        string
	uwsgi      net.Listener
	httpServer *httptest.Server
}

func startMounting(t *testing.T, h http.Handler, apps int) *mounting {
	t.Helper()
	page, f, err := scoreboard.Create(4, apps)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	h = pool.New(pool.Options{Page: page}).Handler(h)
	m := &mounting{page: page, httpServer: httptest.NewServer(h)}
	t.Cleanup(m.httpServer.Close)
	m.http = m.httpServer.Client()
	m.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	m.url = m.httpServer.URL
	if m.uwsgi, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	srv := &uwsgi.Server{Handler: h, HeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(m.uwsgi) }()
	t.Cleanup(func() { srv.Close(); m.uwsgi.Close(); <-ended })
	return m
}

// told is the answer as one line: the handler's words, or status and Location.
func told(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Location")))
	}
	return string(body)
}

// overHTTP sends a target as it stands.
func (m *mounting) overHTTP(t *testing.T, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", m.httpServer.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return told(t, resp, err)
}

// overUWSGI sends exactly these variables.
func (m *mounting) overUWSGI(t *testing.T, modifier uint8, vars ...string) string {
	t.Helper()
	r := uwsgi.Request{Header: uwsgi.Header{Modifier1: modifier}}
	r.Vars.Add("REQUEST_METHOD", "GET")
	r.Vars.Add("SERVER_PROTOCOL", "HTTP/1.1")
	for i := 0; i < len(vars); i += 2 {
		r.Vars.Add(vars[i], vars[i+1])
	}
	packet, err := r.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", m.uwsgi.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return told(t, resp, err)
}

func tellers() *mounts {
	return newMounts(teller("home"), 0, []mount{
		{path: "/shop", app: 1, handler: teller("shop")},
		{path: "/shop/admin", app: 2, handler: teller("admin")},
		{path: "/a b", app: 3, handler: teller("spaced")},
	})
}

func TestTheLongestPrefixWinsInWholeSegments(t *testing.T) {
	t.Parallel()
	m := startMounting(t, tellers(), 4)
	for target, want := range map[string]string{
		"/":                    `home "" "/" "" /cart`,
		"/shopping":            `home "" "/shopping" "" /cart`,
		"/Shop/":               `home "" "/Shop/" "" /cart`,
		"//shop/x":             `home "" "//shop/x" "" /cart`,
		"/shop":                `307 /shop/`,
		"/shop?a=%20&b":        `307 /shop/?a=%20&b`,
		"/sho%70":              `307 /shop/`,
		"/shop/":               `shop "/shop" "/" "" /shop/cart`,
		"/shop/cart":           `shop "/shop" "/cart" "" /shop/cart`,
		"/shop/shop":           `shop "/shop" "/shop" "" /shop/cart`,
		"/shop//x":             `shop "/shop" "//x" "" /shop/cart`,
		"/shop/administrator":  `shop "/shop" "/administrator" "" /shop/cart`,
		"/shop/admin":          `307 /shop/admin/`,
		"/shop/admin/a":        `admin "/shop/admin" "/a" "" /shop/admin/cart`,
		"/shop/admin//":        `admin "/shop/admin" "//" "" /shop/admin/cart`,
		"/shop/a%2Fb":          `shop "/shop" "/a/b" "/a%2Fb" /shop/cart`,
		"/%73hop/a%2Fb":        `shop "/shop" "/a/b" "/a%2Fb" /shop/cart`,
		"/shop%2Fcart":         `shop "/shop" "/cart" "" /shop/cart`,
		"/shop%2Fadmin%2Fx":    `admin "/shop/admin" "/x" "" /shop/admin/cart`,
		"/shop/%C3%BC/%ff%2f.": "shop \"/shop\" \"/ü/\\xff/.\" \"/%C3%BC/%ff%2f.\" /shop/cart",
		"/a%20b":               `307 /a%20b/`,
		"/a%20b/c%20d":         `spaced "/a b" "/c d" "" /a%20b/cart`,
	} {
		if got := m.overHTTP(t, target); got != want {
			t.Errorf("http %s\n got %s\nwant %s", target, got, want)
		}
		path, query, _ := strings.Cut(target, "?")
		info := httptest.NewRequest("GET", "/", nil).URL // decoded as a front end would
		if u, err := info.Parse("http://a" + path); err == nil {
			path = u.Path
		}
		if got := m.overUWSGI(t, 0, "REQUEST_URI", target, "PATH_INFO", path, "QUERY_STRING", query); got != want {
			t.Errorf("uwsgi %s\n got %s\nwant %s", target, got, want)
		}
	}
}

// However a front end divides what the client asked for, the same app sees the
// same request.
func TestTheFrontEndsOwnScriptNameIsTakenIn(t *testing.T) {
	t.Parallel()
	m := startMounting(t, tellers(), 4)
	for name, c := range map[string]struct {
		modifier uint8
		vars     []string // SCRIPT_NAME, PATH_INFO, REQUEST_URI
		want     string
	}{
		"stripped":                       {0, []string{"/shop", "/cart", "/shop/cart"}, `shop "/shop" "/cart" "" /shop/cart`},
		"not stripped":                   {0, []string{"/shop", "/shop/cart", "/shop/cart"}, `shop "/shop" "/cart" "" /shop/cart`},
		"empty":                          {0, []string{"", "/shop/cart", "/shop/cart"}, `shop "/shop" "/cart" "" /shop/cart`},
		"a slash at its end":             {0, []string{"/shop/", "/cart", "/shop/cart"}, `shop "/shop" "/cart" "" /shop/cart`},
		"modifier 30":                    {30, []string{"/shop", "/shop/cart", "/shop/cart"}, `shop "/shop" "/cart" "" /shop/cart`},
		"encoded":                        {0, []string{"/shop", "/a/b", "/shop/a%2Fb"}, `shop "/shop" "/a/b" "/a%2Fb" /shop/cart`},
		"the prefix alone":               {0, []string{"/shop", "", "/shop"}, `307 /shop/`},
		"the prefix and a slash":         {0, []string{"/shop", "/", "/shop/"}, `shop "/shop" "/" "" /shop/cart`},
		"a longer mount":                 {0, []string{"/shop", "/admin/x", "/shop/admin/x"}, `admin "/shop/admin" "/x" "" /shop/admin/cart`},
		"a shorter mount":                {0, []string{"/shop/eu", "/a/b", "/shop/eu/a%2Fb"}, `shop "/shop" "/eu/a/b" "/eu/a%2Fb" /shop/cart`},
		"a shorter mount, plain":         {0, []string{"/shop/e u", "/x", "/shop/e%20u/x"}, `shop "/shop" "/e u/x" "" /shop/cart`},
		"in the middle of a segment":     {0, []string{"/sho", "p/cart", "/shop/cart"}, `400`},
		"the server below a prefix":      {0, []string{"/site", "/shop/cart", "/site/shop/cart"}, `shop "/site/shop" "/cart" "" /site/shop/cart`},
		"the same, not stripped":         {0, []string{"/site", "/site/shop/cart", "/site/shop/cart"}, `shop "/site/shop" "/cart" "" /site/shop/cart`},
		"the prefix of a mount below it": {0, []string{"/site", "/shop", "/site/shop"}, `307 /site/shop/`},
		"two slashes first":              {0, []string{"//evil.example", "/shop", "//evil.example/shop"}, `307 /evil.example/shop/`},
		"the root below a prefix":        {0, []string{"/site", "/x", "/site/x"}, `home "/site" "/x" "" /site/cart`},
	} {
		vars := []string{"SCRIPT_NAME", c.vars[0], "PATH_INFO", c.vars[1], "REQUEST_URI", c.vars[2]}
		if got := m.overUWSGI(t, c.modifier, vars...); got != c.want {
			t.Errorf("%s: %q\n got %s\nwant %s", name, vars, got, c.want)
		}
	}
	// lighttpd without a prefix: the whole path, and no PATH_INFO at all.
	if got, want := m.overUWSGI(t, 0, "SCRIPT_NAME", "/shop/cart", "REQUEST_URI", "/shop/cart"), `shop "/shop" "/cart" "" /shop/cart`; got != want {
		t.Errorf("lighttpd\n got %s\nwant %s", got, want)
	}
}

func TestWhatNoMountTakesIsNotFound(t *testing.T) {
	t.Parallel()
	m := startMounting(t, newMounts(nil, 0, []mount{{path: "/a", app: 0, handler: teller("a")}, {path: "/p", app: 1, handler: http.HandlerFunc(panics)}}), 2)
	for target, want := range map[string]string{"/": "404", "/ab": "404", "/a/": `a "/a" "/" "" /a/cart`, "/p/": "500"} {
		if got := m.overHTTP(t, target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	want := []stats.AppCounters{{Requests: 1}, {Requests: 1, Exceptions: 1}, {Requests: 2}}
	got := m.page.AppCounters()
	for n, c := range got {
		got[n] = stats.AppCounters{Requests: c.Requests, Exceptions: c.Exceptions}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %+v, want %+v: two apps and nobody", got, want)
	}
}

func panics(http.ResponseWriter, *http.Request) { panic("on purpose") }

func shopMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /docs/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "docs %s", r.URL.Path) })
	mux.HandleFunc("/item/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "item %s by %s", r.PathValue("id"), r.Pattern)
	})
	to := func(pattern string, where func(r *http.Request) string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, where(r), http.StatusFound) })
	}
	to("/out", func(*http.Request) string { return "/login" })
	to("/away", func(*http.Request) string { return "https://example.com/away" })
	to("/scheme-less", func(*http.Request) string { return "//example.com/scheme-less" })
	to("/linked", func(r *http.Request) string { return Link(r, "/a%20b?c#d") })
	to("/self", func(r *http.Request) string { return r.URL.String() })
	mux.HandleFunc("/created", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/created") // not a redirect: the app's own words
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

// A ServeMux knows nothing of the prefix: its own redirects are mended, and no
// others.
func TestAServeMuxWorksBelowAMount(t *testing.T) {
	t.Parallel()
	m := startMounting(t, newMounts(nil, 0, []mount{{path: "/my shop", app: 0, handler: shopMux()}}), 1)
	for target, want := range map[string]string{
		"/docs/x":            "docs /docs/x",
		"/item/a%2Fb":        "item a/b by /item/{id}",
		"/docs":              "307 /my%20shop/docs/",
		"/docs?q=1":          "307 /my%20shop/docs/?q=1",
		"//docs//x":          "307 /my%20shop/docs/x",
		"/docs/../item/./7":  "307 /my%20shop/item/7",
		"/docs//a%2Fb":       "307 /my%20shop/docs/a%252Fb", // as ServeMux has it
		"/out":               "302 /login",
		"/away":              "302 https://example.com/away",
		"/scheme-less":       "302 //example.com/scheme-less",
		"/linked":            "302 /my%20shop/a%20b?c#d",
		"/self?a=b":          "302 /my%20shop/self?a=b",
		"/created":           "201 /created",
		"/nothing-like-this": "404",
	} {
		if got := m.overHTTP(t, "/my%20shop"+target); got != want {
			t.Errorf("http %s: %s, want %s", target, got, want)
		}
		if got := m.overUWSGI(t, 0, "REQUEST_URI", "/my%20shop"+target); got != want {
			t.Errorf("uwsgi %s: %s, want %s", target, got, want)
		}
	}
}

func TestLinksStayOnTheirHost(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	for to, want := range map[string]string{
		"/cart": "/cart", "cart": "/cart", "": "/", "//evil.example": "/evil.example", `/\evil.example`: "/evil.example", `\\evil.example`: "/evil.example",
		"/?a=//b": "/?a=//b",
	} {
		if got := Link(r, to); got != want {
			t.Errorf("Link(%q) = %q, want %q", to, got, want)
		}
	}
}

// What an application finds in its ResponseWriter must not depend on where it is
// mounted.
func TestAMountedAppHasAWholeWriter(t *testing.T) {
	t.Parallel()
	m := startMounting(t, newMounts(nil, 0, []mount{{path: "/a", app: 0, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, rf := w.(io.ReaderFrom)
		_, sw := w.(io.StringWriter)
		rc := http.NewResponseController(w)
		fmt.Fprint(w, f, h, rf, sw, rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex(), rc.Flush())
	})}}), 1)
	if got, want := m.overHTTP(t, "/a/"), "true true true true <nil> <nil> <nil> <nil>"; got != want {
		t.Errorf("http: %s, want %s", got, want)
	}
	if got, want := m.overUWSGI(t, 0, "REQUEST_URI", "/a/"), "true true true true <nil> <nil> <nil> <nil>"; got != want {
		t.Errorf("uwsgi: %s, want %s", got, want)
	}
}

// The app's request is a copy, and the server removes the files of an upload by
// the original.
func TestFilesOfAnUploadAreHandedBack(t *testing.T) {
	t.Parallel()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("f", "name")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("content")) // a buffer takes everything
	form.Close()
	r := httptest.NewRequest("POST", "/a/", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	m := newMounts(nil, 0, []mount{{path: "/a", handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(0); err != nil {
			t.Error(err)
		}
	})}})
	m.ServeHTTP(httptest.NewRecorder(), r)
	if r.MultipartForm == nil {
		t.Fatal("the server does not learn of the form")
	}
	f, err := r.MultipartForm.File["f"][0].Open()
	if err != nil {
		t.Fatal(err)
	}
	name := f.(*os.File).Name()
	f.Close()
	if err := r.MultipartForm.RemoveAll(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", name, err)
	}
}

// FuzzDividedPath: whatever the path and however the front end divided it, both
// halves of the URL say the same, and prefix and path are what was asked for.
func FuzzDividedPath(f *testing.F) {
	f.Add("/shop/a%2Fb", "/shop")
	f.Add("/shop%2Fa", "")
	f.Add("/%73hop/%ff//.", "/sh")
	f.Add("/a%20b/%C3%BC%20", "/a b")
	f.Fuzz(func(t *testing.T, target, script string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(u.Path, "/") || script != "" && script[0] != '/' {
			return
		}
		script = strings.TrimRight(script, "/")
		at, prefix, rest := tellers().find(script, u.Path)
		if at == nil || rest == "" {
			return
		}
		if rest[0] != '/' || prefix+rest != script+u.Path {
			t.Fatalf("%q behind %q was divided into %q and %q", u.Path, script, prefix, rest)
		}
		inner := url.URL{Path: rest, RawPath: rawRest(u, rest)}
		if inner.RawPath != "" && inner.EscapedPath() != inner.RawPath {
			t.Fatalf("%q encodes something else than %q", inner.RawPath, rest)
		}
	})
}
