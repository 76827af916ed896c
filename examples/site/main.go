// Command site is a small server-rendered site in the deployment this server is for:
// nginx in front, static files served by nginx, everything else passed to the workers.
//
// It shows what an ordinary application needs to do for that. State is opened in the
// worker (New), closed after the drain (Close), and never kept in memory alone, because
// several worker processes share none: the guest book is a file.
package main

import (
	"context"
	"net/http"

	"github.com/seed17661985/ostler/server"
)

func main() {
	server.Main(server.App{Name: "site", New: open, Static: staticFiles()})
}

// open builds the site in the worker's directory, which the chdir key chose.
func open(ctx context.Context) (http.Handler, error) {
	return newSite(ctx, "guestbook.jsonl")
}
