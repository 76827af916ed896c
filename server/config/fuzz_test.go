package config

import (
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func seeds(f *testing.F) {
	f.Helper()
	src, err := os.ReadFile("testdata/complete.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	for _, tc := range keyCases() {
		f.Add([]byte(base(tc.key) + tc.key + " = " + tc.value + "\n"))
	}
	for _, s := range []string{
		"a.b.c = 1\n[a.b]\nd = 2", "[[a]]\n[a.b]\n[[a.b.c]]\nx = [[1, 2], [{y = 3}]]\n[[a]]\nx = 1", "x = {a = 1, b.c = {d = ''}}",
		"x = '''\n''''", "x = \"\"\"\\\n  \"\"\"\"\"", "x = [\n# ]\n'a', # b\n\"]\",]", "'' = 1\n\"\\\"\" = 2\n\"a.b\".'c' = 3",
		"x = 1979-05-27 07:32:00Z\ny = [1979-05-27 07:32:00, 1]", "socket = [", "= 1", "[", "[[", "]]", "\"", "x = {", "x = {\n", "\ufeffx = 1", "\xff\xfex = 1", "\xfe\xffx = 1", "x=1\ry=2",
	} {
		f.Add([]byte(s))
	}
}

// Laws: Parse never panics; a refusal names at least one problem, in the order of lines that
// exist; what is accepted travels through JSON unchanged.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("/srv/app/app.toml", src)
		if err == nil {
			roundTrip(t, c)
			return
		}
		errs := err.(Errors)
		lines := strings.Count(string(src), "\n") + 1
		for i, e := range errs {
			if e.Line < 1 || e.Line > lines || i > 0 && e.Line < errs[i-1].Line || e.Msg == "" {
				t.Fatalf("line %d of %d: %v\nin %q", e.Line, lines, errs, src)
			}
		}
		if len(errs) == 0 {
			t.Fatal("refused without a reason")
		}
	})
}

// Law: every key and array element that the TOML library finds, the scanner has a line for.
func FuzzScanFindsEveryKey(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		text := string(src)
		at := scan(text)
		tree := map[string]any{}
		if at.tooDeep > 0 {
			return
		}
		if _, err := toml.Decode(text, &tree); err != nil {
			return
		}
		for k, v := range tree {
			wantLine(t, at, child("", k), v, text)
		}
	})
}

func wantLine(t *testing.T, at *layout, path string, v any, text string) {
	if _, ok := at.line[path]; !ok {
		t.Fatalf("no line for %s in %q, have %v", path, text, at.line)
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			wantLine(t, at, child(path, k), e, text)
		}
	case []map[string]any:
		for i, e := range v {
			wantLine(t, at, index(path, i), e, text)
		}
	case []any:
		for i, e := range v {
			wantLine(t, at, index(path, i), e, text)
		}
	}
}

// Laws: never a panic; what is accepted can be set as a process environment.
func FuzzParseEnvFile(f *testing.F) {
	for _, s := range []string{"A=1\n", "export B='x'\n#", "C=\"\\n\\\"\"", "=", "A", "A=\"", "A='", "A='b'c", "A= #", "\ufeffA=1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		vars, err := ParseEnvFile("x.env", src)
		for k, v := range vars {
			if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
				t.Fatalf("%q=%q", k, v)
			}
		}
		if err != nil && (vars != nil || len(err.(Errors)) == 0) {
			t.Fatalf("%v, %v", vars, err)
		}
	})
}
