package master

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/worker/control"
)

// holdEnv makes a child of this binary listen on the unix socket it names.
const holdEnv = "MASTER_TEST_HOLD"

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// TestMain is also the main of the workers, which are this very binary.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(control.EnvVar) != "":
		os.Exit(tinyWorker())
	case os.Getenv(holdEnv) != "":
		os.Exit(hold(os.Getenv(holdEnv)))
	}
	goleak.VerifyTestMain(m)
}

// hold listens until its standard input ends.
func hold(path string) int {
	ln, err := net.Listen("unix", path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer ln.Close()
	fmt.Println("listening")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 0
}

// within waits for a channel to be ready.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
		panic("unreachable")
	}
}

// until waits for what nobody announces.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}
