// Command mounts serves two apps from one program: a front page at the root and a
// shop below a prefix, which the configuration file decides and the shop need not
// know.
package main

import (
	"fmt"
	"net/http"

	"github.com/seed17661985/ostler/server"
)

func main() { server.Main(apps()...) }

func apps() []server.App {
	return []server.App{
		server.Handler("home", http.HandlerFunc(home)),
		server.Handler("shop", shop()),
	}
}

func home(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Welcome.")
}

// shop routes as if it were alone: its patterns have no prefix. Links that leave
// the server as text or as a redirect are made with Link.
func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Item %s. Buy it: POST %s\n", r.PathValue("id"), server.Link(r, "/cart"))
	})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, server.Link(r, "/cart?thanks"), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Your cart.")
	})
	return mux
}
