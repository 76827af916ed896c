package frontends

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The law of this file: whatever is in front, the handler sees the same request and
// the client the same answer, but for what testdata/differences.txt lists.
func TestEveryFrontEndShowsTheSameRequest(t *testing.T) {
	_, s := startSite(t, "mirror")
	var all outcomes
	t.Run("columns", func(t *testing.T) {
		for _, c := range columns() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				all.run(t, c, s)
			})
		}
	})
	if t.Failed() {
		return
	}
	if len(all.of) != len(columns()) {
		t.Skip("front ends are missing")
	}
	got := render(all.differences())
	if *update {
		if err := os.WriteFile(differencesFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	compareLines(t, string(got), string(want))
}

const differencesFile = "testdata/differences.txt"

// outcome is what one request showed: a value for each name of a thing. How the
// columns' outcomes differ is all that matters.
type outcome map[string]string

type outcomes struct {
	mu sync.Mutex
	of map[string]map[string]outcome // column, case
}

func (o *outcomes) run(t *testing.T, c column, s site) {
	client := newCurl(t, c.start(t, s), c.args...)
	cases := slices.DeleteFunc(requests(), func(r request) bool { return !c.sends(r) })
	mine := map[string]outcome{}
	for n, got := range client.send(t, cases...) {
		name := cases[n].name
		mine[name] = got.outcome(cases[n])
		mine[name].anonymise(client.base)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = map[string]map[string]outcome{}
	}
	o.of[c.name] = mine
}

// anonymise takes out what is of this machine or this run.
func (o outcome) anonymise(base string) {
	if host, ok := o["Host"]; ok {
		name, _ := os.Hostname()
		o["Host"] = strings.NewReplacer(`"`+name, `"HOSTNAME`, base[strings.LastIndex(base, ":"):]+`"`, `:PORT"`).Replace(host)
	}
}

// outcome takes apart what the mirror said, or the answer itself where that is what
// the case is about.
func (got reply) outcome(r request) outcome {
	o := outcome{"answer status": fmt.Sprint(got.status)}
	isAnswer := strings.HasPrefix(r.target, "/answer/")
	if got.cut || r.name == aborted {
		// How far the front end got before it noticed is a race; that it did is not.
		return outcome{"broken": fmt.Sprint(got.cut || got.status == http.StatusBadGateway)}
	}
	if !isAnswer && got.header.Get(mirrored) == "" {
		if l := got.header.Get("Location"); l != "" {
			o["answer header Location"] = l
		}
		return o // the front end's own answer, or a refusal: the text is not the point
	}
	for name, values := range got.header {
		if !perConnection(name, isAnswer) {
			o["answer header "+name] = fmt.Sprintf("%q", values)
		}
	}
	for name, values := range got.trailer {
		o["answer trailer "+name] = fmt.Sprintf("%q", values)
	}
	switch {
	case r.method == "HEAD": // curl puts the head where the body goes
		return o
	case isAnswer:
		o["answer body"] = fingerprint(got.body, nil)
		return o
	}
	for line := range bytes.Lines(got.body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\t")
		o[name] = value
	}
	return o
}

// perConnection are headers that are between the client and what it is connected to.
func perConnection(name string, isAnswer bool) bool {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Server", "Connection", "Transfer-Encoding", mirrored:
		return true
	case "Date":
		return true // the front end may write its own; the case own-date looks at Last-Modified
	case "Content-Length":
		return !isAnswer // of the mirror's text: differs with it
	}
	return false
}

// expected is the direct outcome as it should look in another column.
func (c column) expected(r request, ref outcome) outcome {
	want := maps.Clone(ref)
	if r.mounted != "" {
		// The handler is to see the path below the prefix, and the prefix beside it.
		want["SCRIPT_NAME"] = fmt.Sprintf("%q", r.mounted)
		for _, name := range []string{"URL.Path", "URL.RawPath"} {
			want[name] = strings.Replace(want[name], `"`+r.mounted+`/`, `"/`, 1)
		}
	}
	if _, seen := want["Method"]; seen {
		maps.Copy(want, c.expect)
	}
	return want
}

// difference is a thing that some columns show differently in some cases.
type difference struct {
	thing        string
	direct, seen string // "-" if absent
	columns      []string
	cases        []string
}

func (o *outcomes) differences() []difference {
	found := map[string]*difference{}
	for _, c := range columns()[1:] {
		for _, r := range requests() {
			if c.sends(r) {
				o.compare(found, c, r)
			}
		}
	}
	return o.mergeColumns(found)
}

func (o *outcomes) compare(found map[string]*difference, c column, r request) {
	want, got := c.expected(r, o.of[direct][r.name]), o.of[c.name][r.name]
	// One of the two was not answered by the mirror: nothing but that can be compared.
	own := (got["Method"] == "") != (want["Method"] == "")
	for _, thing := range slices.Sorted(maps.Keys(union(want, got))) {
		if own && thing != "answer status" {
			continue
		}
		w, g := cmpOr(want[thing], "-"), cmpOr(got[thing], "-")
		if w == g {
			continue
		}
		key := strings.Join([]string{thing, w, g, c.name}, "\x00")
		if found[key] == nil {
			found[key] = &difference{thing: thing, direct: w, seen: g, columns: []string{c.name}}
		}
		found[key].cases = append(found[key].cases, r.name)
	}
}

func union(a, b outcome) outcome {
	u := maps.Clone(a)
	if u == nil {
		u = outcome{}
	}
	maps.Copy(u, b)
	return u
}

// mergeColumns makes one difference of those that several columns show alike.
func (o *outcomes) mergeColumns(found map[string]*difference) []difference {
	merged := map[string]*difference{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		d := found[key]
		d.cases = o.summary(d.columns[0], d.cases)
		key = strings.Join(append([]string{d.thing, d.direct, d.seen}, d.cases...), "\x00")
		if m := merged[key]; m != nil {
			m.columns = append(m.columns, d.columns...)
			continue
		}
		merged[key] = d
	}
	var all []difference
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		all = append(all, *merged[key])
	}
	return all
}

// everyCase stands for all cases in which the mirror saw a request.
const everyCase = "every request"

// summary shortens a list that holds most cases, without losing one.
func (o *outcomes) summary(column string, cases []string) []string {
	var missing []string
	total := 0
	for _, r := range requests() {
		if o.of[column][r.name]["Method"] == "" || o.of[direct][r.name]["Method"] == "" {
			continue
		}
		total++
		if !slices.Contains(cases, r.name) {
			missing = append(missing, r.name)
		}
	}
	switch {
	case total-len(missing) < len(cases) || len(missing)*2 > total:
		return cases
	case len(missing) == 0:
		return []string{everyCase}
	}
	return []string{everyCase + " but " + strings.Join(missing, ", ")}
}

// render makes the lines of differences.txt.
func render(all []difference) []byte {
	var b bytes.Buffer
	for _, d := range all {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\n", d.thing, d.direct, d.seen, strings.Join(d.columns, ", "), strings.Join(d.cases, "; "))
	}
	return b.Bytes()
}

func compareLines(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range g {
		if !slices.Contains(w, line) {
			t.Errorf("a difference that is not on the list:\n%s", line)
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) {
			t.Errorf("a difference on the list that is none any more:\n%s", line)
		}
	}
}
