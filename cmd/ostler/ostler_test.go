package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/uwsgi"
)

// TestMain makes this test binary the commands of the scripts, and the workers
// of what they start.
func TestMain(m *testing.M) {
	if server.Spawned() {
		server.Main(demo(), shop())
	}
	testscript.Main(m, map[string]func(){
		"ostler": func() { os.Exit(run(context.Background(), os.Args)) },
		"shop":   func() { server.Main(shop()) },
	})
}

// shop is a program as a user would write it, for binary = "shop".
func shop() server.App {
	app := server.Handler("shop", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "welcome to the shop\n")
	}))
	app.Static = fstest.MapFS{"shop/shop.css": {Data: []byte("body {}\n"), Mode: 0o644}}
	return app
}

// Each script is a page of the manual: what an operator types and what comes
// back. `go test ./cmd/ostler -update` rewrites what comes back.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			// $WORK is too long a name for unix sockets.
			short, err := os.MkdirTemp("", "ost")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(short) })
			if env.Vars, err = withExamples(env.Vars); err != nil {
				return err
			}
			env.Setenv("S", short)
			env.Setenv("XDG_RUNTIME_DIR", short)
			bin, _, _ := strings.Cut(env.Getenv("PATH"), string(os.PathListSeparator))
			env.Setenv("SHOP", filepath.Join(bin, "shop"))
			notes, err := filepath.Abs("../../server/uwsgiconf/testdata/notes.ini")
			env.Setenv("NOTES", notes)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":   await,
			"exits":   exits,
			"expand":  expand,
			"get":     get,
			"replace": replace,
			"uwsgi":   askUwsgi,
		},
	})
}

// await FILE: waits until something is written in the file, as a pidfile is when
// every worker serves.
func await(ts *testscript.TestScript, neg bool, args []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && len(text) > 0 {
			return
		}
	}
	ts.Fatalf("nothing is written in %s", args[0])
}

// exits N COMMAND...: the command ends with exit code N; its output is the
// script's stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// expand FILE: replaces $NAME in the file by the script's variables.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o644))
}

// replace FILE OLD NEW...: writes NEW wherever the file has OLD.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%2 == 0 {
		ts.Fatalf("usage: replace FILE OLD NEW...")
	}
	text := strings.NewReplacer(args[1:]...).Replace(ts.ReadFile(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// uwsgi SOCKET: asks for / as nginx would; the answer is the script's stdout.
func askUwsgi(ts *testscript.TestScript, neg bool, args []string) {
	client := &http.Client{Transport: &uwsgi.Client{Network: "unix", Addr: args[0]}}
	resp, err := client.Get("http://site/")
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), string(body))
}

// get SOCKET: asks for / on a unix socket until somebody answers; the answer is
// the script's stdout.
func get(ts *testscript.TestScript, neg bool, args []string) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", args[0])
		},
	}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		resp, err := client.Get("http://site/")
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		ts.Check(err)
		fmt.Fprint(ts.Stdout(), string(body))
		return
	}
	ts.Fatalf("nobody answers on %s", args[0])
}

// withExamples adds $EXAMPLES, the folder of this repository.
func withExamples(vars []string) ([]string, error) {
	path, err := filepath.Abs("../../examples")
	return append(vars, "EXAMPLES="+path), err
}
