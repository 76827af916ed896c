package endpoint

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const docFile = "../../docs/stats.md"

// The tables of metrics are made of what is served.
func TestTheStatsDocIsCurrent(t *testing.T) {
	have, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	want := have
	for name, all := range map[string][]family{"metrics": families(&selfMetrics{}), "uwsgi_exporter": exporterFamilies(here())} {
		part := regexp.MustCompile(`(?s)(<!-- generated: ` + name + ` -->\n).*?(<!-- end -->)`)
		if n := len(part.FindAll(have, -1)); n != 1 {
			t.Fatalf("%s has %d parts %q", docFile, n, name)
		}
		want = part.ReplaceAllFunc(want, func(b []byte) []byte {
			m := part.FindSubmatch(b)
			return []byte(string(m[1]) + table(all) + string(m[2]))
		})
	}
	if *update {
		if err := os.WriteFile(docFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not current: run go test ./stats/endpoint -run IsCurrent -update", docFile)
	}
}

func table(all []family) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range all {
		var labels []string
		for _, l := range f.labels {
			labels = append(labels, "`"+l+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(labels, ", "), f.help)
	}
	return b.String()
}
