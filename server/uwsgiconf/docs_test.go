package uwsgiconf

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/config"
)

//go:generate go test -run TestGuideIsCurrent -update .

const guideFile = "../../docs/from-uwsgi.md"

func TestGuideIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(guideFile, []byte(guide()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != guide() {
		t.Fatalf("%s is not what the rules say: run go generate ./server/uwsgiconf", guideFile)
	}
}

// A rule is found by each of its names, and makes a key that there is.
func TestRulesHold(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules() {
		if r.key != "" && !config.Known(r.key) {
			t.Errorf("%s makes %s, which is no key", r.options, r.key)
		}
		for o := range strings.FieldsSeq(r.options) {
			if seen[o] {
				t.Errorf("%s has two rules", o)
			}
			seen[o] = true
		}
	}
}

func guide() string {
	var b strings.Builder
	b.WriteString(guideHead)
	for _, r := range rules() {
		key := "–"
		if r.key != "" {
			key = "`" + r.key + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.Join(strings.Fields(r.options), "`, `"), key, r.doc)
	}
	b.WriteString(guideTail)
	return b.String()
}

const guideHead = `# Coming from uWSGI

<!-- Generated from the rules in server/uwsgiconf. Change them there, then run: go generate ./server/uwsgiconf -->

    ostler import uwsgi.ini                        # prints the TOML
    ostler import --output site.toml uwsgi.ini     # writes a file that is not there yet
    ostler import uwsgi.ini:production             # another section; in XML the <uwsgi> with that id

It reads what uWSGI reads, ini, yaml, json and xml (by the name's end), on the machine where the
site runs: conditions and variables have the answers of that machine. Each option is in the result,
in the order of the source, with its comments:

- **carried over**: a key. What the value was is behind it, if it is written otherwise now.
- **replaced**: a comment with the reason, and the key that does the same, if it can be known.
- **left out**: a comment with what does the job instead, or with what is wrong with the value.

Every value is judged by what judges it at start, so the result is accepted by ` + "`check`" + `; only what
depends on the machine (users, ports, folders) and on the program (its apps) shows at start. Exit code 2 and a
word on stderr say that there was no socket in the source; the rest is written nevertheless.

Then: read it, name the app if the program registers more than one (` + "`module`" + `), and

    hello check --config site.toml
    hello --config site.toml

The file of an ordinary deployment,

` + "```ini" + `
[uwsgi]
chdir      = /srv/site
module     = site.wsgi:application
processes  = 4
threads    = 2
master     = True
socket     = 127.0.0.1:8000
stats      = 127.0.0.1:8080
daemonize  = /srv/site/uwsgi/uwsgi.log
pidfile    = /srv/site/uwsgi/master.pid
vacuum     = True
` + "```" + `

becomes one that runs as it is; nothing but ` + "`module`" + ` is replaced.

## Logic and variables

The TOML has none of it; what is written is what they came to.

| in uWSGI | here |
|---|---|
| ` + "`%(option)`, `%(a + 2)`, `%(a b)`" + ` | the first option of that name, wherever it stands; sums from left to right; side by side |
| ` + "`set-placeholder`, `set-ph`, `set`" + `, options that uWSGI does not know | names for values; a comment |
| ` + "`%v %h %k %u %U %g %G`, `%o %p %s %n %e %d %c %x %j %0`-`%9`" + ` and capitals | working directory, host, CPUs, user and group; names of the file, in capitals of the first file |
| ` + "`%t %T %i %I %X %V %b`" + ` | known to a running uWSGI only: the option is left out |
| ` + "`$(NAME)`" + ` | the environment of ` + "`ostler import`" + ` |
| ` + "`@(file)`" + ` | the file's text; ` + "`@(exec://...)`, `@(http://...)`" + ` are refused |
| ` + "`for`, `for-times`, `for-glob`, `for-readline`" + `, ` + "`%(_)`" + ` | each line once for each word |
| ` + "`if-env`, `if-exists`, `if-file`, `if-dir`, `if-opt`, `if-hostname`, `if-hostname-match`" + `, with ` + "`not-`" + ` | decided now, and taken as they stand, as uWSGI does: nothing in them is expanded. What does not hold is left out |
| ` + "`if-reload`, `if-plugin`" + ` | do not hold |
| ` + "`include`, `inherit`, `ini`, `yaml`, `json`, `xml`" + ` | read in place; looked for in the working directory, then beside the file |

Mistakes have file, line and key. No command is run and nothing but regular files is read: 256 KiB each,
` + "64 in all, 8 deep, 4000 options." + `

## What becomes of an option

If several options fit one key, the last one of the key's own name counts, else the last one.

| option | key | what happens |
|---|---|---|
`

const guideTail = `
All others of uWSGI's options are [left out or replaced in words](config.md#options-of-uwsgi-that-ostler-does-not-have).

## What is different although it is written the same

- Relative paths count from ` + "`chdir`" + `, and it from the folder of the file. In uWSGI ` + "`pidfile`, `daemonize`, `logto`" + ` and loggers
  count from the folder that it is started in. The result says so where it matters.
- ` + "`processes`, `threads`, `vacuum` and `master`" + ` have other defaults. The result says so for the first two.
- Over TCP only this machine may speak uwsgi, unless ` + "`allow-from`" + ` has the proxies.
- ` + "`harakiri`" + ` ends the request, not the worker with all its requests. TERM stops, as with ` + "`die-on-term`" + `.
`
