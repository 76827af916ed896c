package config

import (
	"reflect"
	"strings"
	"testing"
)

const onePort = "http-socket = \"127.0.0.1:1\"\n"

func TestMountsAreReadInTheOrderOfTheFile(t *testing.T) {
	c := mustParse(t, onePort+`
[[mount]]
path = "/shop/"   # a slash at the end means nothing
module = "shop"

[[mount]]
path = "/shop/admin"
module = "back office"

[[mount]]
path = "/Zürich 100%"
module = "shop"
`)
	want := []Mount{{Path: "/shop", Module: "shop", Line: 3}, {Path: "/shop/admin", Module: "back office", Line: 7}, {Path: "/Zürich 100%", Module: "shop", Line: 11}}
	if !reflect.DeepEqual(c.Mounts, want) || c.Module != "" {
		t.Errorf("module %q, mounts %+v, want %+v", c.Module, c.Mounts, want)
	}
}

func TestMountsMayBeInline(t *testing.T) {
	c := mustParse(t, onePort+`mount = [{path = "/a", module = "a"}, {path = "/b", module = "b"}]`)
	if want := []Mount{{Path: "/a", Module: "a", Line: 2}, {Path: "/b", Module: "b", Line: 2}}; !reflect.DeepEqual(c.Mounts, want) {
		t.Errorf("mounts %+v, want %+v", c.Mounts, want)
	}
}

func TestEveryMistakeInAMountIsReportedWithItsLine(t *testing.T) {
	wantErrors(t, onePort+`
[[mount]]
path = "/a"
[[mount]]
module = "b"
[[mount]]
path = "/a//"
module = ""
threads = 4
modul = "c"
prefix = "/x"
[[mount]]
[[mount]]
path = 7
module = ["b"]
`,
		`3: mount[0]: has no module`,
		`5: mount[1]: has no path`,
		`8: mount[2].path: /a is mounted already, on line 3`,
		`9: mount[2].module: empty`,
		`10: mount[2].threads: stands below [[mount]] but is an option of the whole server`,
		`11: mount[2].modul: unknown key (did you mean "module"?)`,
		`12: mount[2].prefix: unknown key, [[mount]] has path, module`,
		`13: mount[3]: has no path`,
		`13: mount[3]: has no module`,
		`15: mount[4].path: want a string, have the number 7`,
		`16: mount[4].module: want a string, have an array`,
	)
}

func TestAMountIsAPlainPrefix(t *testing.T) {
	for path, reason := range map[string]string{
		"shop":           "does not begin with a slash",
		"/":              `the app at "/" is named by module`,
		"//":             "named by module",
		"/*":             "looks like a pattern",
		"/{tenant}":      "looks like a pattern",
		"/a?b":           "more than a path",
		"/a#b":           "more than a path",
		"/a\\tb":         "control character",
		"/a//b":          `want "/a/b"`,
		"//a":            `want "/a"`,
		"/a/./b":         `want "/a/b"`,
		"/a/../b/":       `want "/b"`,
		"/caf%C3%A9/%2F": `want "/café//"`,
	} {
		t.Run(path, func(t *testing.T) {
			wantErrors(t, onePort+"[[mount]]\npath = \""+path+"\"\nmodule = \"a\"\n", "3: mount[0].path: ")
			_, err := parse(t, onePort+"[[mount]]\npath = \""+path+"\"\nmodule = \"a\"\n")
			if !strings.Contains(err.Error(), reason) {
				t.Errorf("%v does not say %q", err, reason)
			}
		})
	}
}

func TestNobodyNeedsMoreThanAHundredMounts(t *testing.T) {
	var text strings.Builder
	text.WriteString(onePort)
	for i := range 100 {
		text.WriteString("[[mount]]\npath = \"/" + strings.Repeat("a", i+1) + "\"\nmodule = \"a\"\n")
	}
	mustParse(t, text.String())
	text.WriteString("[[mount]]\npath = \"/b\"\nmodule = \"a\"\n")
	wantErrors(t, text.String(), "2: mount: 101 are too many")
}
