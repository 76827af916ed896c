package endpoint

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// pages is what there is to see over http.
type pages struct {
	options  Options
	document *shared[[]byte] // uWSGI's
	routes   map[string]http.Handler
}

func newPages(o Options, at net.Addr, shed *atomic.Uint64) *pages {
	p := &pages{options: o}
	p.document = newShared(func() ([]byte, error) { return document(o.Source.Snapshot()) })
	workers := newShared(func() ([]byte, error) { return document(o.Source.Snapshot().Workers) })
	p.routes = map[string]http.Handler{
		"/":        sent(p.document),
		"/stats":   sent(p.document),
		"/workers": sent(workers),
		"/metrics": newMetrics(o, at, shed),
		"/healthz": http.HandlerFunc(p.healthz),
		"/readyz":  http.HandlerFunc(p.readyz),
	}
	return p
}

// ServeHTTP only reads. There is no CORS header, where uWSGI sends "*": any page in the
// operator's browser could read the stats of his machine. A path is looked up as it is;
// http.ServeMux would answer some with a redirect that repeats the query.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff") // paths in flight are the clients' words
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	page, ok := p.routes[r.URL.Path]
	if !ok {
		http.Error(w, "there are /, /stats, /metrics, /workers, /healthz and /readyz", http.StatusNotFound)
		return
	}
	page.ServeHTTP(w, r)
}

// dump is the document for those who do not speak http. One that cannot be made is empty.
func (p *pages) dump() []byte {
	body, _ := p.document.get()
	return body
}

// document is JSON as uWSGI writes it, indented by tabs.
func document(v any) ([]byte, error) {
	body, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("the snapshot has no JSON form: %w", err)
	}
	return append(body, '\n'), nil
}

// sent is made before its first byte goes out: a slow reader holds the goroutine of his
// connection and a buffer he shares, and nothing else.
func sent(body *shared[[]byte]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b, err := body.get()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		// uwsgi_exporter compares this value as a whole: no charset.
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b) // the client's trouble, not ours
	})
}
