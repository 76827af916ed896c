package stats

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented is the tables of docs/stats.md: for each heading the fields with their types.
func documented(t *testing.T) map[string]map[string]jsonType {
	t.Helper()
	text, err := os.ReadFile("../docs/stats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, ok := strings.Cut(string(text), "\n## JSON\n")
	if !ok {
		t.Fatal("docs/stats.md has no section JSON")
	}
	text2, _, _ = strings.Cut(text2, "\n## ")
	name := regexp.MustCompile("`([^`]+)`")
	all := make(map[string]map[string]jsonType)
	var section string
	for line := range strings.Lines(text2) {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			section = strings.Trim(heading, "`[]\n")
			all[section] = make(map[string]jsonType)
		}
		cells := strings.Split(line, "|")
		if len(cells) != 8 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			all[section][m[1]] = jsonType(strings.TrimSpace(cells[2]))
		}
	}
	return all
}

// What is in the document is in the documentation, with its type, and nothing else is.
func TestEveryFieldIsDocumented(t *testing.T) {
	docs := documented(t)
	headings := map[string]string{"": "The document", "queue_wait": "latency"}
	seen := make(map[string]bool)
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(key, e)
			}
		case map[string]any:
			if key == "locks" || key == "req_info" && len(v) == 0 {
				return
			}
			section := key
			if h, ok := headings[key]; ok {
				section = h
			}
			seen[section] = true
			if got, want := slices.Sorted(maps.Keys(v)), slices.Sorted(maps.Keys(docs[section])); !slices.Equal(got, want) {
				t.Errorf("%s has\n%q, documented are\n%q", section, got, want)
			}
			for name, value := range v {
				if want := docs[section][name]; !is(value, want) {
					t.Errorf("%s: %q is %v, documented is %q", section, name, value, want)
				}
				walk(name, value)
			}
		}
	}
	walk("", generic(t, full()))
	for section := range docs {
		if !seen[section] {
			t.Errorf("%q is documented, and in no document", section)
		}
	}
}
