package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// dashboard is what these tests read of Grafana's.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("dashboard.json: %v", err)
	}
	return d
}

// query is an expression and where it stands.
type query struct{ where, expr string }

// shown is every query of the dashboard, as Grafana sends it with the shop chosen.
func shown(t *testing.T) (all []query) {
	t.Helper()
	d := readDashboard(t)
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "5m", "$job", "shop", "$instance", ".*")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, variables.Replace(target.Expr)})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{a.Name, variables.Replace(a.Expr)})
	}
	for _, q := range all {
		if strings.Contains(q.expr, "$") {
			t.Errorf("%s: a variable that Grafana does not know is in %s", q.where, q.expr)
		}
	}
	return all
}

// alerts is every rule of alerts.yml, whose expressions stand in one line or in a block.
func alerts(t *testing.T) (all []query) {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?m)^ +- alert: (\w+)\n +expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)`)
	for _, m := range rule.FindAllStringSubmatch(string(text), -1) {
		all = append(all, query{m[1], m[2] + m[3]})
	}
	if n := strings.Count(string(text), "- alert:"); n != len(all) || n == 0 {
		t.Fatalf("alerts.yml has %d alerts, %d of them were read", n, len(all))
	}
	return all
}

// metrics is the names of metrics in an expression: what is left of its words without labels,
// functions and operators.
func metrics(expr string) (names []string) {
	for _, not := range []string{
		`"[^"]*"`, `\{[^}]*\}`, `\[[^\]]*\]`, // strings, matchers, ranges
		`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`, // lists of labels
		`\b[a-z_0-9]+\s*\(`, // functions
		`\b(sum|min|max|and|or|unless|bool|offset|by)\b`,
	} {
		expr = regexp.MustCompile(not).ReplaceAllString(expr, " ")
	}
	return regexp.MustCompile(`\b[a-zA-Z_:][a-zA-Z0-9_:]*`).FindAllString(expr, -1)
}

func TestMetricsOfAnExpression(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`up{job="shop"} == 0`: "up",
		`histogram_quantile(0.99, sum by (le, app) (rate(a_bucket{x=~"y|z"}[5m]))) > 1e3`: "a_bucket",
		`sum(a) without (x) / on (b) c and time() - d offset 5m > 3 * 3600`:               "a c d",
	} {
		if got := strings.Join(metrics(expr), " "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// exposed is the names of all samples that a running shop shows.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{"up": true} // Prometheus adds it
	for name, f := range families(t, launch(t)) {
		names[name] = true
		if f.GetType().String() == "HISTOGRAM" {
			delete(names, name)
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[name+suffix] = true
			}
		}
	}
	return names
}

// A name that is misspelt, or of another version, is a panel without data and an alert that
// never fires: nothing else would tell.
func TestQueriesNameOnlyMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	there := exposed(t)
	for _, q := range append(shown(t), alerts(t)...) {
		names := metrics(q.expr)
		if len(names) == 0 {
			t.Errorf("%s names no metric: %s", q.where, q.expr)
		}
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s: nothing exposes %s", q.where, name)
			}
		}
	}
}

func TestDashboardIsOneThatGrafanaTakes(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.SchemaVersion < 39 || d.UID == "" {
		t.Errorf("schemaVersion %d, uid %q", d.SchemaVersion, d.UID)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if want := []string{"datasource datasource", "job query", "instance query"}; !slices.Equal(variables, want) {
		t.Errorf("variables are %q, want %q", variables, want)
	}
	ids := map[int]bool{}
	for n, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %d %q: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for _, o := range d.Panels[:n] {
			a, b := p.GridPos, o.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q lie on each other", p.Title, o.Title)
			}
		}
	}
}

// promtool runs it and wants it to be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), servertest.Peer(t, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolAcceptsTheFiles(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "--lint-fatal", "prometheus.yml") // and alerts.yml, which it names
	promtool(t, "check", "rules", "--lint-fatal", "alerts.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

// promtool has no check of a query; one of a rule it has.
func TestPromtoolParsesTheQueriesOfTheDashboard(t *testing.T) {
	t.Parallel()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for n, q := range shown(t) {
		rules = append(rules, rule{"panel:" + strings.Repeat("i", n+1), q.expr})
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}}) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// An alert that was never seen firing may never fire; one that was never seen silent may
// never stop.
func TestEveryAlertIsSeenSilentAndFiring(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{}
	for _, part := range strings.Split(string(text), "\n  - name: ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		tests[name] = body
	}
	const asked = `ALERTS{alertstate="firing"}`
	for _, a := range alerts(t) {
		body := tests[a.where]
		fires := strings.Count(body, `alertname="`+a.where+`",alertstate="firing"`)
		if silent := strings.Count(body, asked) - strings.Count(body, "exp_samples:"); fires < 1 || silent < 1 {
			t.Errorf("alerts_test.yml sees %s fire %d times and silent %d times", a.where, fires, silent)
		}
		delete(tests, a.where)
	}
	for name := range tests {
		t.Errorf("alerts_test.yml tests %s, which is no alert", name)
	}
}

// The table in docs/stats.md is of the alerts that are there.
func TestTheServersAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/stats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(docs), "\n## Dashboard and alerts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rules, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var there, told []string
	for _, m := range regexp.MustCompile(`(?s)- alert: (Ostler\w+)\n.*?severity: (\w+)`).FindAllSubmatch(rules, -1) {
		there = append(there, string(m[1])+" "+string(m[2]))
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(section, -1) {
		told = append(told, m[1]+" "+m[2])
	}
	if !slices.Equal(there, told) || len(there) == 0 {
		t.Errorf("alerts.yml has\n%q, docs/stats.md\n%q", there, told)
	}
}
