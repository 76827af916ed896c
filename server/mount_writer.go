package server

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/seed17661985/ostler/worker/pool"
)

// mountedWriter mends the redirects that a mounted app does not make itself.
//
// A ServeMux sends /docs to /docs/ and /a//b to /a/b, by the path it knows: the one
// behind the prefix. The app has no say in that, so it is put right here. Every
// other address is the app's own choice and stays what it is: /login may well mean
// the app at the root.
type mountedWriter struct {
	pool.ResponseWriter
	request *mounted
}

// writer gives w back unchanged if it is not the pool's: a test's, say.
func (m *mounted) writer(w http.ResponseWriter) http.ResponseWriter {
	full, ok := w.(pool.ResponseWriter)
	if !ok {
		return w
	}
	m.out = mountedWriter{ResponseWriter: full, request: m}
	return &m.out
}

func (w *mountedWriter) WriteHeader(status int) {
	if h := w.Header(); status >= 300 && status <= 399 && h["Location"] != nil {
		if to := h.Get("Location"); isOwnPath(&w.request.url, to) {
			h.Set("Location", (&url.URL{Path: w.request.prefix}).EscapedPath()+to)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (w *mountedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// isOwnPath reports whether to is the address of u, but for slashes and dots: what
// a router redirects to that is not content with the form of a path. ServeMux
// encodes a path with a percent sign in it twice.
func isOwnPath(u *url.URL, to string) bool {
	t, err := url.Parse(to)
	if err != nil || t.Host != "" || t.Fragment != "" || t.RawQuery != u.RawQuery || !strings.HasPrefix(t.Path, "/") {
		return false
	}
	clean := path.Clean(t.Path)
	return clean == path.Clean(u.Path) || clean == path.Clean(u.EscapedPath())
}
