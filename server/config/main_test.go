package config

import (
	"flag"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// The one flag of this package: `go test ./server/config -update` rewrites docs/config.md.
var update = flag.Bool("update", false, "rewrite generated files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse runs a text as the file /srv/app/app.toml.
func parse(t *testing.T, text string) (Config, error) {
	t.Helper()
	return Parse("/srv/app/app.toml", []byte(text))
}

func mustParse(t *testing.T, text string) Config {
	t.Helper()
	c, err := parse(t, text)
	if err != nil {
		t.Fatalf("%s\nin:\n%s", err, text)
	}
	return c
}

// wantErrors compares the problems of a text with lines "LINE: KEY: part of the message",
// all of them, in order.
func wantErrors(t *testing.T, text string, want ...string) {
	t.Helper()
	_, err := parse(t, text)
	if err == nil {
		t.Fatalf("accepted:\n%s", text)
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d problems, want %d:\n%s\nin:\n%s", len(got), len(want), err, text)
	}
	for i, w := range want {
		line, part, _ := strings.Cut(w, ": ")
		if !strings.HasPrefix(got[i], "/srv/app/app.toml:"+line+": ") || !strings.Contains(got[i], part) {
			t.Errorf("problem %d:\n got %s\nwant line %s and %q", i, got[i], line, part)
		}
	}
}
