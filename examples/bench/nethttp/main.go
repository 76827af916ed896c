// Command nethttp is the benchmark's application under net/http or, with -fcgi, under
// net/http/fcgi: what a Go program does without an application server.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strings"

	"github.com/seed17661985/ostler/examples/bench/handlers"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8000", "host:port, or the path of a unix socket")
	overFCGI := flag.Bool("fcgi", false, "speak FastCGI instead of http")
	flag.Parse()
	log.Fatal(serve(*address, *overFCGI))
}

func serve(address string, overFCGI bool) error {
	app, err := handlers.New(os.Getenv(handlers.DataEnv))
	if err != nil {
		return err
	}
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if overFCGI {
		return fcgi.Serve(ln, app)
	}
	return http.Serve(ln, app)
}
