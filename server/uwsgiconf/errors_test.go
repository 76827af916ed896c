package uwsgiconf

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed17661985/ostler/server/config"
)

// filesSystem is a machine with these files, in its working directory "/srv", and nothing else.
func filesSystem(files map[string]string) System {
	tree := fstest.MapFS{"pipe": {Mode: fs.ModeNamedPipe}, "folder/x": {}}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	valid := func(path string) string { return strings.TrimPrefix(path, "/srv/") }
	return System{
		Stat: func(path string) (fs.FileInfo, error) { return tree.Stat(valid(path)) },
		Open: func(path string) (fs.File, error) { return tree.Open(valid(path)) },
		Glob: func(pattern string) ([]string, error) { return fs.Glob(tree, valid(pattern)) },
		LookupEnv: func(name string) (value string, ok bool) {
			value, ok = map[string]string{"SET": "value of SET", "NAMES": "%(name)"}[name]
			return value, ok
		},
		Dir: "/srv", Hostname: "web1", CPUs: 2, UID: "1", GID: "2", User: "u", Group: "g",
	}
}

type refusal struct{ name, text, want string }

func refusals() []refusal {
	loop := "[uwsgi]\nfor-times = 9999999\nx = %(_)\nendfor =\n"
	wide := "[uwsgi]\nfor-times = 3000\n" + strings.Repeat("env = A%(_)=1\n", 3) + "endfor =\n"
	var deep strings.Builder
	deep.WriteString("[uwsgi]\na0 = " + strings.Repeat("x", 1000) + "\n")
	for i := range 40 {
		fmt.Fprintf(&deep, "a%d = %%(a%d)%%(a%d)\n", i+1, i, i)
	}
	return []refusal{
		{"missing.ini", "", "missing.ini: file does not exist"},
		{"pipe", "", "pipe: not a regular file"},
		{"folder", "", "folder: not a regular file"},
		{"x.ini", "[other]\nsocket = a", "x.ini: has no section [uwsgi]; name the section that counts behind the path: x.ini:SECTION"},
		{"x.ini", "[uwsgi]\n\n = 5", `x.ini:3: no name in front of "="`},
		{"x.ini", "[uwsgi]\nsocket = a\nif-env = A\nsocket = b", "x.ini:3: if-env: is not closed, add \"endif =\""},
		{"x.ini", "[uwsgi]\nfor = a b", "x.ini:2: for: is not closed, add \"endfor =\""},
		{"x.ini", "[uwsgi]\nif-env = A\nfor = 1 2", "x.ini:3: for: stands inside of if-env, which uWSGI refuses too"},
		{"x.ini", "[uwsgi]\nif-moon = full\nendif=", "x.ini:2: if-moon: this condition is not known: decide it yourself"},
		{"x.ini", "[uwsgi]\nif-hostname-match = (\nendif=", "x.ini:2: if-hostname-match: error parsing regexp"},
		{"x.ini", "[uwsgi]\nif-env = %t\nendif=", "x.ini:2: if-env: %t is known only when uWSGI starts"},
		{"x.ini", "[uwsgi]\nset = a", "x.ini:2: set: want name=value"},
		{"x.ini", "[uwsgi]\ninclude = y.ini", "x.ini:2: y.ini: file does not exist"},
		{"x.ini", "[uwsgi]\ninclude =", "x.ini:2: include: names no file"},
		{"x.ini", "[uwsgi]\ninclude = x.ini", "includes too many files"},
		{"x.ini", "[uwsgi]\nini = http://config/x", "x.ini:2: ini: only files are read: save what http://config/x gives"},
		{"x.ini", "[uwsgi]\nenv = A=@(exec://id)", "x.ini:2: env: only files are read: put what @(exec://id) gives here yourself"},
		{"x.ini", "[uwsgi]\nenv = A=@(nothing)", "x.ini:2: env: @(nothing): file does not exist"},
		{"x.ini", "[uwsgi]\nenv = A=@(pipe)", "x.ini:2: env: @(pipe): not a regular file"},
		{"x.ini", loop, "x.ini:2: for-times: more than 4000 rounds"},
		{"x.ini", wide, "env: more than 4000 options"},
		{"x.ini", deep.String(), "the placeholders make more than 1 MiB"},
		{"x.ini", "[uwsgi]\n" + strings.Repeat("#", maxSource), "x.ini: larger than 256 KiB"},
		{"x.yaml", "uwsgi:\n  a: {b: c}", "x.yaml:2: a: want a plain value or a list"},
		{"x.yaml", "uwsgi:\n  a: [[1]]", "x.yaml:2: a: want a plain value or a list"},
		{"x.yaml", "uwsgi: 5", "x.yaml:1: uwsgi: want a map of options"},
		{"x.yaml", "uwsgi:\n- 5", "x.yaml:2: want a map of options in each element"},
		{"x.yaml", "uwsgi:\n  a: b: c", "x.yaml:2: mapping values are not allowed"},
		{"x.yaml", "other:\n  a: b", "x.yaml: has no uwsgi:"},
		{"x.json", `[1]`, "x.json:1: want an object"},
		{"x.json", "{\"uwsgi\":\n{\"a\": {}}}", "x.json:2: a: want a plain value or a list"},
		{"x.json", "{\"uwsgi\":\n{\"a\": [[]]}}", "x.json:2: a: want a plain value or a list"},
		{"x.json", "{\"uwsgi\":\n{\"a\" 1}}", "x.json:2: invalid character '1'"},
		{"x.json", `{"other": {}}`, `x.json: has no "uwsgi": {...}`},
		{"x.xml", "<a>\n<uwsgi><socket></uwsgi></a>", "x.xml:2: syntax error"},
		{"x.xml", "<uwsgi>\n<socket><a/></socket></uwsgi>", "x.xml:2: socket: want a text in it, there is an element <a>"},
		{"x.xml", "<a/>", "x.xml: has no <uwsgi>"},
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range refusals() {
		files := map[string]string{tc.name: tc.text}
		if tc.text == "" {
			files = nil
		}
		_, err := Import(filesSystem(files), tc.name, target)
		if _, ok := errors.AsType[config.Errors](err); !ok || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %.60q\n got %v\nwant %s", tc.name, tc.text, err, tc.want)
		}
	}
}

func TestSectionThatIsAskedFor(t *testing.T) {
	files := map[string]string{
		"x.ini": "[uwsgi]\nsocket = a\n[two]\nsocket = b\nini = :three\n[three]\nlisten = 3\nenv = S=%x\n",
		"x.xml": `<l><uwsgi><socket>a</socket></uwsgi><uwsgi id="two"><socket>b</socket></uwsgi></l>`,
		"x.yml": "uwsgi: {socket: a}\ntwo: [{socket: b}, {listen: 3}]",
		"x.js":  `{"uwsgi": {"socket": "a"}, "two": {"socket": "b"}}`,
		"a:b":   "<uwsgi><socket>b</socket></uwsgi>",
	}
	for _, spec := range []string{"x.ini:two", "x.xml:two", "x.yml:two", "x.js:two", "a:b"} {
		r, err := Import(filesSystem(files), spec, target)
		if err != nil || !strings.Contains(string(r.TOML), "socket = \"b\"\n") {
			t.Errorf("%s: %v\n%s", spec, err, r.TOML)
		}
		if spec == "x.ini:two" && !strings.Contains(string(r.TOML), "listen = 3\n") {
			t.Errorf("%s: without :three\n%s", spec, r.TOML)
		}
	}
}
