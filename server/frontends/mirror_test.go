package frontends

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/uwsgi"
)

// mirror is the application of the matrix. It answers every request with what it
// saw of it, except below /answer/, where it is the answer that is looked at.
func mirror() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/route/{id}/{rest...}", reflect)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/answer/"):
			answer(w, r)
		case strings.HasPrefix(r.URL.Path, "/route/"):
			routes.ServeHTTP(w, r)
		default:
			reflect(w, r)
		}
	})
}

// mirrored marks an answer of reflect: without it, the front end answered itself.
const mirrored = "X-Mirrored"

// reflect writes one line for each thing a handler can see: a name, a tab, a value
// that is quoted because paths and headers need not be UTF-8.
func reflect(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.Header().Set(mirrored, "yes")
	w.Header().Set("Content-Type", "text/plain")
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	line("Method", "%s", r.Method)
	line("RequestURI", "%q", abridge(r.RequestURI))
	line("URL.Path", "%q", abridge(r.URL.Path))
	line("URL.RawPath", "%q", r.URL.RawPath)
	line("URL.RawQuery", "%q", abridge(r.URL.RawQuery))
	line("URL.Host", "%q", r.URL.Host)
	line("Host", "%q", r.Host)
	line("RemoteAddr", "%q", remote)
	line("Scheme", "%s", server.Scheme(r))
	line("Proto", "%s", r.Proto)
	line("ContentLength", "%d", r.ContentLength)
	line("TransferEncoding", "%q", r.TransferEncoding)
	line("Body", "%s", fingerprint(body, err))
	line("SCRIPT_NAME", "%q", uwsgi.VarsOf(r).Get("SCRIPT_NAME"))
	line("PathValue(id)", "%q", r.PathValue("id"))
	line("PathValue(rest)", "%q", r.PathValue("rest"))
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range r.Header {
			if !yield(name) {
				return
			}
		}
	}) {
		line("Header "+name, "%s", abridge(fmt.Sprintf("%q", r.Header[name])))
	}
}

// abridge keeps what is only long from filling the table.
func abridge(s string) string {
	if len(s) <= 200 {
		return s
	}
	return fmt.Sprintf("%s... %d bytes, %s", s[:40], len(s), fingerprint([]byte(s), nil))
}

// fingerprint is equal for equal bodies and readable for short ones.
func fingerprint(b []byte, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("%d bytes, then %v", len(b), err)
	case len(b) <= 60:
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes, sha256 %.6x", len(b), sha256.Sum256(b))
}
