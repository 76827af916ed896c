package endpoint

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seed17661985/ostler/stats"
)

// Handler answers GET and HEAD for /, /stats and /metrics.
func Handler(src stats.Source) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/{$}", document(src))
	mux.Handle("/stats", document(src))
	mux.Handle("/metrics", metrics(src))
	return readOnly(mux)
}

// readOnly refuses every other method. There is no CORS header either, where uWSGI sends
// "*": any page in the operator's browser could read the stats of his machine.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff") // paths in flight are the clients' words
		next.ServeHTTP(w, r)
	})
}

// document sends the snapshot as uWSGI does, indented by tabs. It is marshalled whole
// before the first byte goes out, so that a slow reader holds a buffer and nothing else.
func document(src stats.Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body, err := json.MarshalIndent(src.Snapshot(), "", "\t")
		if err != nil {
			http.Error(w, "the snapshot has no JSON form: "+err.Error(), http.StatusInternalServerError)
			return
		}
		body = append(body, '\n')
		// uwsgi_exporter compares this value as a whole: no charset.
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // the client's trouble, not ours
	})
}
