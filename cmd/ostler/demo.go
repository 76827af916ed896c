package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/seed17661985/ostler/server"
)

// demo is what `ostler run` hosts when the file names no program: enough to see
// a request come through the front end and which worker answered it.
func demo() server.App {
	return server.Handler("demo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "ostler works.\n\n%s %s %s\nhost   %s\nclient %s\nworker pid %d\n",
			r.Method, r.URL.RequestURI(), r.Proto, r.Host, r.RemoteAddr, os.Getpid())
	}))
}
