// Command fasthttp is the benchmark's application under fasthttp, by its adaptor for
// net/http handlers. It is a module of its own so that ostler does not depend on fasthttp.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/seed17661985/ostler/examples/bench/handlers"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8000", "host:port")
	flag.Parse()
	app, err := handlers.New(os.Getenv(handlers.DataEnv))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(fasthttp.ListenAndServe(*address, fasthttpadaptor.NewFastHTTPHandler(app)))
}
