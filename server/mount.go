package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/worker/pool"
)

// mounts hands each request to the app that its path belongs to. The app at the
// root gets its requests as they came; one below a prefix gets the path behind
// it, as http.StripPrefix and uWSGI's manage-script-name do.
type mounts struct {
	list []mount      // longest path first
	root http.Handler // nil: what no mount takes is answered 404
	home int          // number of the app at the root
}

type mount struct {
	path    string // "/shop"
	app     int    // its number on the scoreboard
	handler http.Handler
}

func newMounts(root http.Handler, home int, list []mount) *mounts {
	slices.SortFunc(list, func(a, b mount) int { return cmp.Compare(len(b.path), len(a.path)) })
	return &mounts{list: list, root: root, home: home}
}

func (m *mounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, prefix, rest := m.find(uwsgi.ScriptName(r), r.URL.Path)
	switch {
	case at != nil:
		pool.Charge(w, at.app)
		at.serve(w, r, prefix, rest)
	case m.root != nil:
		pool.Charge(w, m.home)
		m.root.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// find picks the mount of a request and divides its path. The client's view
// decides, which is the front end's SCRIPT_NAME and the path behind it together:
// a front end that strips the prefix and says so reaches the same app, in the
// same way, as one that passes everything on. If that leads nowhere, the server
// as a whole may hang below a prefix that only the front end knows.
func (m *mounts) find(script, path string) (at *mount, prefix, rest string) {
	if at = m.longest(script + path); at != nil {
		return at, at.path, (script + path)[len(at.path):]
	}
	if at = m.longest(path); at != nil {
		return at, script + at.path, path[len(at.path):]
	}
	return nil, "", ""
}

// longest matches whole segments: /shop does not take /shopping.
func (m *mounts) longest(path string) *mount {
	for i := range m.list {
		rest, ok := strings.CutPrefix(path, m.list[i].path)
		if ok && (rest == "" || rest[0] == '/') {
			return &m.list[i]
		}
	}
	return nil
}

// serve calls the app with a request of its own. The original stays as it came:
// logs and statistics show what the client asked for.
func (at *mount) serve(w http.ResponseWriter, r *http.Request, prefix, rest string) {
	if rest == "" {
		// The app has no page without a path, and links relative to its first page would
		// lead out of it. ServeMux does the same for a folder.
		to := url.URL{Path: prefix + "/", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
		return
	}
	m := &mounted{Context: r.Context(), prefix: prefix, url: *r.URL}
	m.url.Path, m.url.RawPath = rest, rawRest(r.URL, rest)
	inner := r.WithContext(m)
	inner.URL = &m.url
	// The server removes the files of an upload, and looks for them in its own request.
	defer func() { r.MultipartForm = inner.MultipartForm }()
	at.handler.ServeHTTP(m.writer(w), inner)
}

// rawRest is the RawPath that goes with rest, the end of u's path or, where the
// front end stripped more than the mount, the path with something before it. The
// client's encoding is kept where it says what the usual one does not, and where
// rest begins at a slash of it: "/shop%2Fx" is routed as the front ends' rules saw
// it, decoded.
func rawRest(u *url.URL, rest string) string {
	if u.RawPath == "" {
		return ""
	}
	raw := u.EscapedPath() // not RawPath, which a handler before us may have left behind
	if before, ok := strings.CutSuffix(rest, u.Path); ok {
		raw = (&url.URL{Path: before}).EscapedPath() + raw
	} else {
		raw = skipDecoded(raw, len(u.Path)-len(rest))
	}
	if usual := (&url.URL{Path: rest}).EscapedPath(); raw == usual || raw[0] != '/' {
		return ""
	}
	return raw
}

// skipDecoded drops what stands for the first n bytes of a path.
func skipDecoded(raw string, n int) string {
	for range n {
		if raw[0] == '%' {
			raw = raw[2:]
		}
		raw = raw[1:]
	}
	return raw
}

// mounted is what a request below a mount needs besides the request: one
// allocation for all of it.
type mounted struct {
	context.Context
	prefix string
	url    url.URL
	out    mountedWriter
}

type mountKey struct{}

func (m *mounted) Value(key any) any {
	if key == (mountKey{}) {
		return m
	}
	return m.Context.Value(key)
}

// ScriptName is the prefix that stands before r.URL.Path in the client's view,
// without a slash at its end, whether a [[mount]] of the configuration put it
// there, the front end (SCRIPT_NAME of uwsgi), or both. It is "" at the root. r
// is the request that the app was given, or one made from it.
func ScriptName(r *http.Request) string {
	if m, ok := r.Context().Value(mountKey{}).(*mounted); ok {
		return m.prefix
	}
	return uwsgi.ScriptName(r)
}

// Link makes a path of the app one that the client can follow:
//
//	http.Redirect(w, r, server.Link(r, "/cart?added=7"), http.StatusSeeOther)
//
// to is as it stands in a URL, encoded, and may have a query. The result begins
// with exactly one slash, whatever to begins with: it never leads to another
// host.
func Link(r *http.Request, to string) string {
	prefix := url.URL{Path: ScriptName(r)}
	return prefix.EscapedPath() + "/" + strings.TrimLeft(to, `/\`)
}
