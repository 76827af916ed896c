// Command chat is one room in a page: what somebody says in one browser is read in all
// others, over websockets.
//
// It shows what an upgraded connection needs under a server that reloads. The room says
// goodbye when its worker begins to drain (server.Draining), the page comes back by itself
// to the worker that took over, and a line that was under way is said again: each has an
// id, and counts as said when it comes back.
package main

import (
	"context"
	"embed"
	"io/fs"
	"net/http"

	"github.com/seed17661985/ostler/server"
)

//go:embed page
var page embed.FS

func main() {
	server.Main(server.App{Name: "chat", New: open})
}

// open makes an empty room. It lives as long as its worker does.
func open(context.Context) (http.Handler, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", harden(http.FileServerFS(files)))
	mux.Handle("GET /room", newRoom())
	return mux, nil
}

// harden keeps the page to its own files, whatever somebody manages to say in it. Caches
// ask again: the page and its room come from the same build.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
