package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
)

// TestMain registers every application of this package's tests. The workers,
// and the masters that tests launch as processes, are this test binary.
func TestMain(m *testing.M) { servertest.Main(m, apps()...) }

func apps() []server.App {
	return append(webApps(), []server.App{
		counting(),
		pageApp(),
		server.Handler("echo", http.HandlerFunc(echo)),
		server.Handler("service", http.HandlerFunc(service)),
		server.Handler("share", http.HandlerFunc(share)),
		server.Handler("hoard", hoard()),
		server.Handler("trouble", troubles()),
		{Name: "leaves-goroutines", New: func(context.Context) (http.Handler, error) {
			for range 3 {
				go waitForEver()
			}
			return http.HandlerFunc(panicOnDemand), nil
		}},
		server.Handler("transfers", transfers()),
		server.Handler("gate", http.HandlerFunc(servertest.GateHandler)),
		server.Handler("endless", http.HandlerFunc(endless)),
		server.Handler("lasting", lasting()),
		server.Handler("place", http.HandlerFunc(place)),
		server.Handler("surroundings", http.HandlerFunc(surroundings)),
		server.Handler("panics", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the handler's own words") })),
		{Name: "database", New: func(context.Context) (http.Handler, error) {
			_, err := os.ReadFile(os.Getenv("DATABASE"))
			return http.HandlerFunc(echo), err
		}},
		{Name: "refuses", New: func(context.Context) (http.Handler, error) {
			return nil, errors.New("no database at db.example:5432")
		}},
		{Name: "panics-at-start", New: func(context.Context) (http.Handler, error) { panic("the chimney is on fire") }},
		{Name: "hangs-at-start", New: func(ctx context.Context) (http.Handler, error) {
			fmt.Println("hanging")
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		{Name: "exits-at-start", New: func(context.Context) (http.Handler, error) {
			fmt.Println("no licence found") // as log.Fatal does
			os.Exit(7)
			return nil, nil
		}},
	}...)
}

// soaking says whether to take the time that a proof takes, and not a test (make soak).
func soaking(few, many int) int {
	if os.Getenv("OSTLER_SOAK") != "" {
		return many
	}
	return few
}

// echo sends the body back. Reading all of it first keeps a client that writes
// everything before it reads from waiting for us while we wait for it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

func waitForEver() { select {} }

func panicOnDemand(_ http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("panic") {
		panic("on demand")
	}
}

// surroundings tells what a worker process was given by its configuration: its
// folder, the mode of a file it makes, a variable.
func surroundings(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("env")
	dir, _ := os.Getwd()
	probe := filepath.Join(dir, "made-for-"+name)
	if err := os.WriteFile(probe, nil, 0o666); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	st, err := os.Stat(probe)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintf(w, "%s\n%s\n%s", dir, st.Mode(), os.Getenv(name))
}

// serviceTime is what the app "service" takes for a request that is no health check.
const serviceTime = 200 * time.Millisecond

func service(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
	case "/brief":
		await(serviceTime / 40)
	default:
		await(serviceTime)
	}
	_, _ = w.Write([]byte("ok"))
}

// machineShare is what a worker knows of its part of the machine.
type machineShare struct {
	PID, Procs, CPUs int
	Memory           int64
}

func share(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(machineShare{os.Getpid(), runtime.GOMAXPROCS(0), runtime.NumCPU(), debug.SetMemoryLimit(-1)})
}

// get fetches a page and returns status and body.
func get(t *testing.T, rt http.RoundTripper, url string) (int, string) {
	t.Helper()
	resp, body, err := fetch(rt, url)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// fetch is get for a request that may fail.
func fetch(rt http.RoundTripper, url string) (*http.Response, string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}
