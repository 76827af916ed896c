// Command hello is the smallest program ostler can serve: one handler, one call.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/seed17661985/ostler/server"
)

func main() {
	server.Main(server.Handler("hello", http.HandlerFunc(hello)))
}

// hello names its process, so that reloading the page shows the workers at work.
func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello from worker process %d.\n", os.Getpid())
}
