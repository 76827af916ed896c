// Shop is the program that the tests of package server deploy: it echoes what it is
// sent, and knows every way in which a new program can be bad. Which way is written
// behind the end of its file, after the last "bad:", so that each is a file of its own
// and nothing else tells: as with real builds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed17661985/ostler/server"
)

var bad = way()

// A panic here comes before main, and so before anything of ostler.
var _ = wakeUp()

func main() {
	_, rehearsal := os.LookupEnv("OSTLER_REHEARSAL")
	if bad == "unwilling" && rehearsal {
		fmt.Fprintln(os.Stderr, "the throne is too high")
		os.Exit(1)
	}
	server.Main(server.App{Name: "shop", New: open})
}

func way() string {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	end, err := f.Seek(-64, io.SeekEnd)
	if err != nil {
		panic(err)
	}
	tail, _ := io.ReadAll(io.NewSectionReader(f, end, 64))
	_, way, _ := strings.Cut(string(tail), "\nbad:")
	return way
}

func wakeUp() bool {
	_, worker := os.LookupEnv("OSTLER_WORKER")
	if bad == "panics-in-init" && worker {
		panic("the alarm clock is broken")
	}
	return worker
}

func open(ctx context.Context) (http.Handler, error) {
	switch bad {
	case "refuses":
		return nil, errors.New("no database at db.example:5432")
	case "panics":
		panic("the chimney is on fire")
	case "hangs":
		waitForTheBaker(ctx)
	case "exits":
		fmt.Println("nothing to do today")
		os.Exit(0)
	case "dies-later":
		time.AfterFunc(100*time.Millisecond, func() { panic("the roof fell down") })
	case "fails":
		return http.HandlerFunc(fail), nil
	}
	sold := prometheus.NewCounter(prometheus.CounterOpts{Name: "app_hits_total", Help: "Requests."})
	prometheus.MustRegister(sold)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sold.Inc()
		echo(w, r)
	}), nil
}

//go:noinline
func waitForTheBaker(ctx context.Context) { <-ctx.Done() }

func fail(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // who writes all before reading would see a reset
	http.Error(w, "out of bread", http.StatusInternalServerError)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}
