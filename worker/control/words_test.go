package control

import (
	"os"
	"strings"
	"testing"
)

// What a worker prints reaches its master until it takes the log, and the log from then on;
// what the runtime says when it crashes is the master's in any case.
func TestWhatAWorkerPrintsFindsItsReader(t *testing.T) {
	to := spoken(t)
	spawnTo(t, to, "words", "").wait()
	for _, want := range []struct {
		where string
		file  *os.File
		has   []string
		not   string
	}{
		{"what its master reads", to.born, []string{"in init", "in New"}, "standard"},
		{"the log as standard output", to.out, []string{"to standard output"}, "in "},
		{"the log as standard error", to.err, []string{"to standard error", "panic: its last words"}, "in init"},
		{"the crash output", to.crash, []string{"panic: its last words", "childWords"}, "standard"},
	} {
		text, err := os.ReadFile(want.file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range want.has {
			if !strings.Contains(string(text), words) {
				t.Errorf("%s has no %q:\n%s", want.where, words, text)
			}
		}
		if strings.Contains(string(text), want.not) {
			t.Errorf("%s has %q:\n%s", want.where, want.not, text)
		}
	}
}
