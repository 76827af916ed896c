package frontends

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const document = "../../docs/front-ends.md"

// The configurations that the document shows are the ones the matrix runs, and the
// differences it lists are the ones the matrix found.
func TestFrontEndsDocIsCurrent(t *testing.T) {
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)(<!-- generated: (\S+) -->\n).*?(<!-- end -->)`)
	if n := len(block.FindAll(have, -1)); n < 6 {
		t.Fatalf("%s has %d generated parts", document, n)
	}
	want := block.ReplaceAllFunc(have, func(b []byte) []byte {
		m := block.FindSubmatch(b)
		return []byte(string(m[1]) + part(t, string(m[2])) + string(m[3]))
	})
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not current: run go test ./server/frontends -run IsCurrent -update", document)
	}
}

// part is what belongs between two marks: a configuration, or the differences.
func part(t *testing.T, name string) string {
	if name == "differences" {
		return explained(t)
	}
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return "\n    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n\n"
}

// explained is every difference under the reason for it. One without a reason, or a
// reason without a difference, fails.
func explained(t *testing.T) string {
	under := map[string][]difference{}
	for _, d := range listed(t) {
		under[reasonFor(t, d)] = append(under[reasonFor(t, d)], d)
	}
	var b strings.Builder
	for _, r := range reasons() {
		if len(under[r.title]) == 0 {
			t.Errorf("the reason %q explains nothing", r.title)
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| request | what | directly | behind it | front ends |\n|---|---|---|---|---|\n", r.title, r.text)
		for _, d := range under[r.title] {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", strings.Join(d.cases, "; "), code(d.thing), code(d.direct), code(d.seen), strings.Join(d.columns, ", "))
		}
	}
	return b.String() + "\n"
}

func reasonFor(t *testing.T, d difference) string {
	for _, r := range reasons() {
		if r.covers(d) {
			return r.title
		}
	}
	t.Errorf("nobody says why %s is %s and not %s behind %v in %v", d.thing, d.seen, d.direct, d.columns, d.cases)
	return ""
}

// listed reads differences.txt back.
func listed(t *testing.T) []difference {
	text, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []difference
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			t.Fatalf("%s: %q is no difference", differencesFile, line)
		}
		all = append(all, difference{f[0], f[1], f[2], strings.Split(f[3], ", "), strings.Split(f[4], "; ")})
	}
	return all
}

// code quotes for a table cell of Markdown.
func code(s string) string {
	if s == "-" {
		return "–"
	}
	s = strings.ReplaceAll(s, "|", `\|`)
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}
