// Package servertest runs real masters with real worker processes inside tests.
//
// It promises: the workers are this very test binary; nothing it started is
// left when the test ends (a leftover process fails the test); every wait ends
// with the event or with a failure that shows the log. It knows no application:
// the test registers its handlers with Main.
//
//	func TestMain(m *testing.M) {
//		servertest.Main(m, server.Handler("echo", echo), server.Handler("hang", hang))
//	}
package servertest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server"
	"go.uber.org/goleak"
)

// Main is the body of TestMain. In a process that was started as a worker, for
// its plan, or as a master or command of its own by Launch and Command, it is
// server.Main; otherwise it runs the tests and fails on leaked goroutines.
func Main(m *testing.M, apps ...server.App) {
	if server.Spawned() || commandLine(os.Args[1:]) {
		server.Main(apps...)
	}
	hasten()
	code := m.Run()
	if err := removeBuilds(); err != nil {
		fmt.Fprintln(os.Stderr, "builds are left after the tests:", err)
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left after the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// hasten has programs that are built with the race detector end at once: by default each of
// them waits for a second, in case one of its threads has a race to report.
func hasten() {
	if _, set := os.LookupEnv("GORACE"); !set {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=10") // an error costs the seconds
	}
}

// commandLine tells an application's arguments from those of go test.
func commandLine(args []string) bool {
	return len(args) > 0 && !strings.HasPrefix(args[0], "-test.")
}

// deadline is for events that are bound to come; it is generous because the
// machine may be busy with something else.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
