package uwsgiconf

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/config"
)

// Laws: never a panic; a refusal has a place; what is made is accepted by config.Parse, or
// has nothing to serve on as its only fault; no option of the source is lost.
func FuzzImport(f *testing.F) {
	forms := []string{"x.ini", "x.yaml", "x.json", "x.xml", "x"}
	for i, name := range []string{"site.ini", "site.yaml", "site.json", "site.xml", "all.ini", "logic.ini", "notes.ini", "more.ini"} {
		src, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		if i > 3 {
			i = 0
		}
		f.Add(byte(i), src)
	}
	for _, tc := range refusals() {
		for i, name := range forms {
			if tc.name == name && len(tc.text) < 4096 {
				f.Add(byte(i), []byte(tc.text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, form byte, src []byte) {
		name := forms[int(form)%len(forms)]
		sys := filesSystem(map[string]string{name: string(src), "more.ini": "[uwsgi]\nsocket = more\n"})
		r, err := Import(sys, name, target)
		if err != nil {
			errs, ofSource := errors.AsType[config.Errors](err)
			tooMuch := strings.Contains(err.Error(), "larger than") || strings.Contains(err.Error(), "too many options")
			if ofSource && len(errs) == 0 || !ofSource && !tooMuch {
				t.Fatalf("%v\nof %q", err, src)
			}
			return
		}
		if n := options(sys, name); r.Carried+r.Replaced+r.LeftOut != n {
			t.Fatalf("%d+%d+%d of %d options\n%s", r.Carried, r.Replaced, r.LeftOut, n, r.TOML)
		}
		_, err = config.Parse(target, r.TOML)
		if !r.Serves && err != nil && strings.Count(err.Error(), "\n") == 0 && strings.Contains(err.Error(), "nothing to serve on") {
			return
		}
		if err != nil || !r.Serves {
			t.Fatalf("serves: %t, refused: %v\n%s\nmade of %q", r.Serves, err, r.TOML, src)
		}
	})
}

// options is how many options a source has.
func options(sys System, spec string) (n int) {
	e := newExpander(sys)
	e.load(source{spec: spec}, place{}, 0)
	for _, o := range e.all {
		if o.key != "" {
			n++
		}
	}
	return n
}
