// Command benchapp is the benchmark's application as an ostler program.
package main

import (
	"context"
	"net/http"
	"os"

	"github.com/seed17661985/ostler/examples/bench/handlers"
	"github.com/seed17661985/ostler/server"
)

func main() {
	server.Main(server.App{Name: "benchapp", New: func(context.Context) (http.Handler, error) {
		return handlers.New(os.Getenv(handlers.DataEnv))
	}})
}
