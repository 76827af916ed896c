// Command loadbalance is a site on several machines: it says on which one it runs.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/seed17661985/ostler/server"
)

func main() {
	server.Main(server.Handler("loadbalance", http.HandlerFunc(where)))
}

// where answers with the name that the machine's configuration gives it.
func where(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, os.Getenv("HOST"))
}
