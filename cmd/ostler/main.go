// Command ostler is the operator's command: it runs, checks, reloads, stops and
// shows any program built on package server, by its configuration file.
package main

import (
	"context"
	"os"

	"github.com/seed17661985/ostler/server"
)

func main() {
	if server.Spawned() { // this process is a worker of the demo app
		server.Main(demo())
	}
	os.Exit(run(context.Background(), os.Args))
}
