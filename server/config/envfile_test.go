package config

import (
	"maps"
	"strings"
	"testing"
)

func TestEnvFileReadsWhatShellsRead(t *testing.T) {
	const text = "\ufeff# secrets\n\nA=1\r\n  B = two words  \nexport C='single $x \\n #'\nD=\"a\\nb\\t\\\"\\\\\\$\\q\"\nE=\nF=\"\"\nG=a=b#c\nH=\"é\\é\"\n"
	want := map[string]string{"A": "1", "B": "two words", "C": `single $x \n #`, "D": "a\nb\t\"\\$\\q", "E": "", "F": "", "G": "a=b#c", "H": `é\é`}
	got, err := ParseEnvFile("app.env", []byte(text))
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestEnvFileReportsEveryProblemAndNoValue(t *testing.T) {
	const text = "hunter2\nA='hunter2\nB=\"hunter2\" x\nC=hunter2 # note\nLISTEN_FDS=hunter2\n=hunter2\nD=1\nD=hunter2\nE=hunter2\x00\nF G=hunter2\n"
	_, err := ParseEnvFile("app.env", []byte(text))
	want := []string{
		"app.env:1: want NAME=value", "app.env:2: A: the quote is not closed", "app.env:3: B: text after the closing quote",
		"app.env:4: C: \" #\" in a value", "app.env:5: LISTEN_FDS: the server itself", "app.env:6: a variable needs a name",
		"app.env:8: D: given twice, first on line 7", "app.env:9: E: contains a NUL", "app.env:10: F G: a variable's name",
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	got := strings.Split(err.Error(), "\n")
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("problem %d of\n%v\nwant %s", i, err, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d", len(got), len(want))
	}
}
