package uwsgiconf

import (
	"strings"
	"testing"
)

// made is the result for x.ini of these files.
func made(t *testing.T, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		files[name] = "[uwsgi]\n" + text + "\n"
	}
	r, err := Import(filesSystem(files), "x.ini", target)
	if err != nil {
		t.Fatal(err)
	}
	return string(r.TOML)
}

func TestNamesStandForWhatTheyDoAtTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a variable may name an option":              {map[string]string{"x.ini": "socket = /s\nset-ph = name=ann\nenv = A=$(NAMES)"}, `A = "ann"`},
		"two that name each other":                   {map[string]string{"x.ini": "socket = /s\nset-ph = a=1%(b)\nset-ph = b=2%(a)\nenv = A=%(a)"}, `A = "12%(a)"`},
		"one that an include has asked for":          {map[string]string{"x.ini": "socket = /s\nset-ph = f=%(g).ini\ninclude = %(f)\nset-ph = g=later\nenv = A=%(f)", "%(g).ini": "env = B=1"}, `A = "later.ini"`},
		"one that an include has asked for, earlier": {map[string]string{"x.ini": "socket = /s\ninclude = a%(g).ini\nset-ph = h=%(g)\nset-ph = g=b\ninclude = a%(h).ini", "a%(g).ini": "", "ab.ini": "env = A=1"}, `A = "1"`},
	} {
		if got := made(t, c.files); !strings.Contains(got, "\n"+c.want) {
			t.Errorf("%s: no %s in\n%s", name, c.want, got)
		}
	}
}

// uWSGI looks for an include in the working directory. A configuration that was copied
// here has its files beside it.
func TestAnIncludeIsLookedForBesideTheFile(t *testing.T) {
	files := func(more ...string) map[string]string {
		m := map[string]string{"x.ini": "socket = /s\ninclude = conf/one.ini", "conf/one.ini": "include = two.ini", "conf/two.ini": "env = WHERE=beside"}
		for _, name := range more {
			m[name] = "env = WHERE=working directory"
		}
		return m
	}
	if got := made(t, files()); !strings.Contains(got, `WHERE = "beside"`) {
		t.Errorf("in\n%s", got)
	}
	if got := made(t, files("two.ini")); !strings.Contains(got, `WHERE = "working directory"`) {
		t.Errorf("in\n%s", got)
	}
}
