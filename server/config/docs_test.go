package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const referenceFile = "../../docs/config.md"

func TestReferenceIsCurrent(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s is not what the schema says: run go generate ./server/config", referenceFile)
	}
}

func TestEveryOptionIsDocumented(t *testing.T) {
	var c Config
	for _, o := range options(&c) {
		if o.form == "" || o.was == "" || len(o.doc) < 15 || !strings.HasSuffix(o.doc, ".") {
			t.Errorf("%s: incomplete: %+v", o.key, o)
		}
		if o.form == formDuration && !strings.Contains(o.doc, "Zero is refused.") && !strings.Contains(o.doc, " 0 ") {
			t.Errorf("%s: what does zero mean?", o.key)
		}
	}
}

// Each toml block of the documentation must work as it stands there.
func TestExamplesOfTheReferenceParse(t *testing.T) {
	blocks := strings.Split(reference(), "```toml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no examples")
	}
	for _, b := range blocks {
		text, _, _ := strings.Cut(b, "```")
		mustParse(t, text)
	}
}

// reference is docs/config.md.
func reference() string {
	var b strings.Builder
	var c Config
	b.WriteString(referenceHead)
	for _, s := range schema(&c) {
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		for _, o := range s.options {
			fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\n- Value: %s\n- Default: %s\n- In uWSGI: %s\n", o.key, o.doc, o.form, o.shownDefault(), o.was)
		}
	}
	b.WriteString(referenceEnvFile)
	b.WriteString("\n## Options of uWSGI that ostler does not have\n\nThey are refused with these words. `*` stands for any rest of the name.\n\n| option | here |\n|---|---|\n")
	b.WriteString("| `workers` | written otherwise here: use processes |\n")
	for _, f := range foreignKeys() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Join(strings.Fields(f.keys), "`, `"), f.answer)
	}
	return b.String()
}

func (o option) shownDefault() string {
	switch {
	case o.note != "":
		return o.note
	case o.def != "":
		return "`" + o.def + "`"
	}
	return "none"
}

const referenceHead = `# The configuration file

<!-- Generated from the schema in server/config. Change it there, then run: go generate ./server/config -->

One TOML file describes one server. Keys have uWSGI's names where they mean the same. A whole file:

` + "```toml" + `
module = "site"
processes = 4
threads = 32
socket = "127.0.0.1:8000"
stats = "127.0.0.1:9191"
pidfile = "site.pid"
` + "```" + `

A file with every key is server/config/testdata/complete.toml.

- All keys stand at the top of the file, without a header. Only ` + "`[[https-socket]]`, `[[mount]]`" + ` and ` + "`[env]`" + ` are tables, and come last.
- A key that is not known, a value of the wrong kind or out of range, or keys that contradict each other: the server does not
  start. All problems are printed at once, each as ` + "`file:line: key: what is wrong`" + `, and the exit code is 2.
  ` + "`check`" + ` does the same without starting.
- Durations are ` + "`\"30s\"`, `\"2m\"`, `\"1h30m\"`, `\"500ms\"`" + `, or a plain number of whole seconds; at most 365 days.
- Sizes need a unit: ` + "`B`, `KiB`, `MiB`, `GiB`, `TiB`" + ` (powers of 1024) or ` + "`kB`, `MB`, `GB`, `TB`" + ` (powers of 1000).
- Modes are octal and in quotes: ` + "`\"0660\"`" + `.
- Addresses are ` + "`\"host:port\"`" + `, ` + "`\":port\"`" + ` (all interfaces), ` + "`\"[::1]:port\"`" + `, the path of a unix socket, or ` + "`\"@name\"`" + ` (abstract, Linux).
  A relative path with a colon in it starts with ` + "`./`" + `. The kernel limits the path of a unix socket to 107 bytes on Linux, 103 elsewhere.
- Relative paths start at ` + "`chdir`" + ` if it is set, else at the folder of the file. ` + "`~`" + ` and variables are not expanded.
- With no file at all, the only registered app is served on ` + "`http-socket = \"127.0.0.1:8000\"`" + ` with ` + "`stats = \"127.0.0.1:9191\"`" + `.
`

const referenceEnvFile = `
## The file of ` + "`env-file`" + `

    # a comment
    DATABASE_URL=postgres://site@db/site
    export GREETING="two\nlines"
    TOKEN='taken as it is, $ and \ too'

One variable per line. In double quotes, ` + "`\\n`, `\\t`, `\\\"`, `\\\\` and `\\$`" + ` are replaced; nothing else is expanded anywhere. A variable
given twice, an open quote, text behind a closing quote, and ` + "` #`" + ` in a value without quotes are refused, because
readers of such files disagree about them.
`
