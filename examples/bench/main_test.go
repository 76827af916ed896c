//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One round with real servers, nginx and wrk: whether the figures are plausible is for the
// reader of a real run, that there are figures is for this.
func TestARoundMeasuresRealServers(t *testing.T) {
	servertest.Peer(t, "wrk")
	servertest.Peer(t, "nginx")
	document := filepath.Join(t.TempDir(), "benchmarks.md")
	o, err := parseOptions([]string{"-rounds", "1", "-duration", "1s", "-case", "hello,echo10k", "-conns", "1",
		"-peer", ostlerUWSGI + "," + netHTTPClose, "-o", document})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bench(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(written), out.String()) {
		t.Errorf("the document does not end with what was printed:\n%s", written)
	}
	for _, heading := range []string{"## hello: GET, 13 bytes, 1 connection", "## echo10k: POST, 10 KiB echoed, 1 connection"} {
		_, table, found := strings.Cut(out.String(), heading)
		if !found {
			t.Fatalf("no %q in\n%s", heading, out.String())
		}
		for _, server := range []string{ostlerUWSGI, netHTTPClose} {
			cells := rowOf(table, server)
			if len(cells) < 10 || slices.Contains(cells[1:10], "-") || slices.Contains(cells[1:7], "0") {
				t.Errorf("%s, row of %s: %q has no figures", heading, server, cells)
			}
		}
	}
}

// rowOf is the cells of the first row that begins with name.
func rowOf(table, name string) []string {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| "+name+" ") {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			return cells
		}
	}
	return nil
}

func TestAServerThatDiesIsReportedWithItsLastWords(t *testing.T) {
	p, err := launch(t.TempDir(), "sh", nil, "sh", "-c", "echo the stable burns >&2; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	err = p.until(t.Context(), func() error { return os.ErrNotExist })
	if err == nil || !strings.Contains(err.Error(), "the stable burns") {
		t.Errorf("got %v, want the server's last words", err)
	}
}

func TestOptionsRefuseWhatWouldMeasureNothing(t *testing.T) {
	for _, args := range [][]string{
		{"-case", "hullo"}, {"-peer", "apache"}, {"-also", "sleep"}, {"-conns", "0"}, {"-conns", "many"},
		{"-rounds", "0"}, {"-duration", "10ms"}, {"-duration", "1500ms"}, {"hello"},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestTheWholeRunHasEveryMeasurement(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range o.contests() {
		got = append(got, c.String())
	}
	want := []string{"hello, 1 connection", "hello, 32 connections", "hello, 256 connections", "json2k, 32 connections",
		"body64k, 32 connections", "echo10k, 32 connections", "file1m, 32 connections"}
	if !slices.Equal(got, want) {
		t.Errorf("contests %q, want %q", got, want)
	}
	if !slices.Equal(o.also, names(extras())) {
		t.Errorf("further measurements %q, want all", o.also)
	}
}

func TestAPartIsOnlyWhatWasAskedFor(t *testing.T) {
	o, err := parseOptions([]string{"-also", "idle"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.contests()) != 0 || !slices.Equal(o.also, []string{"idle"}) {
		t.Errorf("-also idle: contests %v and measurements %v", o.contests(), o.also)
	}
	o, err = parseOptions([]string{"-case", "json2k", "-conns", "1,2"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.contests()) != 2 || len(o.also) != 0 {
		t.Errorf("-case json2k -conns 1,2: contests %v and measurements %v", o.contests(), o.also)
	}
}
