package server_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// programWithoutRace is this test's own program, built without the race detector, which
// multiplies memory, time and switches between threads: for tests of what things cost.
func programWithoutRace(t *testing.T) string {
	t.Helper()
	program := filepath.Join(servertest.Dir(t), "app")
	if out, err := exec.Command("go", "test", "-c", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build without -race: %v\n%s", err, out)
	}
	return program
}
