package collect

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed17661985/ostler/server/static"
)

func TestHashedNamesAndReferences(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	src := memory("a",
		"css/app.css", `@import "base.css"; a { background: url("../img/a%20b.png?v=1#x") } b { background: url(/static/img/c.svg) }`+"\n/*# sourceMappingURL=app.css.map */",
		"css/base.css", `c { background: url(data:image/png;base64,AA==) } d { background: url(missing.png) } e { background: url(//cdn/x.png) }`,
		"css/app.css.map", "{}", "img/a b.png", "png", "img/c.svg", "<svg/>",
		"js/app.js", "let x = 1\n//# sourceMappingURL=app.js.map\n", "js/app.js.map", `{"file":"app.js"}`, "LICENSE", "free",
	)
	o := options(root, src)
	o.Hashed = true
	r, notes := collect(t, o)
	if r != (Result{Files: 16, Copied: 16}) || !strings.Contains(notes, "a: css/base.css refers to missing.png, which is not among the static files") {
		t.Errorf("%+v\n%s", r, notes)
	}
	a, files := manifestOf(t, root).Assets, tree(t, root, true)
	base := func(name string) string { return filepath.Base(a[name]) }
	want := `@import "` + base("css/base.css") + `"; a { background: url("../img/` + strings.ReplaceAll(base("img/a b.png"), " ", "%20") +
		`?v=1#x") } b { background: url(/static/img/` + base("img/c.svg") + `) }` + "\n/*# sourceMappingURL=" + base("css/app.css.map") + " */"
	if got := files[a["css/app.css"]]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := files[a["js/app.js"]]; got != "let x = 1\n//# sourceMappingURL="+base("js/app.js.map")+"\n" {
		t.Errorf("script: %s", got)
	}
	if !strings.Contains(files["css/app.css"], `"base.css"`) {
		t.Error("under its plain name a file is as it was")
	}
	for plain, hashed := range a {
		if files[hashed] == "" || !(static.Manifest{Assets: a}).Lasting(hashed) {
			t.Errorf("%s is %s, which is not there or does not last", plain, hashed)
		}
	}
	if r, _ := collect(t, o); r != (Result{Files: 16, Unchanged: 16}) {
		t.Errorf("second run: %+v", r)
	}
	// A change of what is referred to changes the names of all that refer to it.
	o.Sources = append([]Source{}, src)
	o.Sources[0] = memory("a", "css/app.css", `@import "base.css";`, "css/base.css", "x { }")
	collect(t, o)
	one := manifestOf(t, root).Assets
	o.Sources[0] = memory("a", "css/app.css", `@import "base.css";`, "css/base.css", "y { }")
	collect(t, o)
	two := manifestOf(t, root).Assets
	if one["css/base.css"] == two["css/base.css"] || one["css/app.css"] == two["css/app.css"] {
		t.Errorf("%v and %v", one, two)
	}
	if all := tree(t, root, true); all[one["css/app.css"]] == "" {
		t.Error("pages that are open still ask for the old name, and it is gone")
	}
	o.Clear = true
	collect(t, o)
	if got := len(tree(t, root, true)); got != 4 {
		t.Errorf("%d files after clear, want two with two names", got)
	}
}

// One of the references in a circle must keep its plain name; which one is the same in every
// run.
func TestCirclesOfReferences(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root, memory("a", "a.css", `@import "b.css";`, "b.css", `@import "a.css"; @import "b.css";`))
	o.Hashed = true
	collect(t, o)
	a, files := manifestOf(t, root).Assets, tree(t, root, true)
	if files[a["a.css"]] != `@import "`+a["b.css"]+`";` || files[a["b.css"]] != `@import "a.css"; @import "b.css";` {
		t.Errorf("%v", files)
	}
	if r, _ := collect(t, o); r.Unchanged != 4 {
		t.Errorf("second run: %+v", r)
	}
}

func TestHashedNameThatIsTaken(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root, memory("a", "x.txt", "x"))
	o.Hashed = true
	collect(t, o)
	taken := manifestOf(t, root).Assets["x.txt"]
	o.Sources = append(o.Sources, memory("b", taken, "not x"))
	refused(t, o, taken+" of b has the hashed name of x.txt")
}

func TestStyleSheetsAreReadAsBrowsersDo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`a{b:url(x)}`:                        `a{b:url([x])}`,
		`a{b:URL( "x y" )}`:                  `a{b:URL( "[x y]" )}`,
		`a{b:url('x')url(y)}`:                `a{b:url('[x]')url([y])}`,
		`@IMPORT 'x' screen;`:                `@IMPORT '[x]' screen;`,
		`@import url(x);`:                    `@import url([x]);`,
		`@font-face{src:url(x)format("y")}`:  `@font-face{src:url([x])format("y")}`,
		`a{b:"url(x)"}`:                      `a{b:"url(x)"}`,
		`/* url(x) @import "y" */a{}`:        `/* url(x) @import "y" */a{}`,
		`/*# sourceMappingURL=x */`:          `/*# sourceMappingURL=[x] */`,
		`/*# sourceMappingURL=x y */`:        `/*# sourceMappingURL=x y */`,
		`a{b:curl(x) my-url(y)}`:             `a{b:curl(x) my-url(y)}`,
		`a{b:url(a\ b)}`:                     `a{b:url(a\ b)}`,
		`a{b:url("a\"b")}`:                   `a{b:url("a\"b")}`,
		`a{b:url()}`:                         `a{b:url()}`,
		`a{b:url("")}`:                       `a{b:url("")}`,
		`a{b:url(`:                           `a{b:url(`,
		`a{b:url("x`:                         `a{b:url("x`,
		`/* never closed url(x)`:             `/* never closed url(x)`,
		"a{b:\"open\n}c{d:url(x)}":           "a{b:\"open\n}c{d:url([x])}",
		`a{b:"\"url(x)"}c{d:url(y)}`:         `a{b:"\"url(x)"}c{d:url([y])}`,
		`\`:                                  `\`,
		"a{b:url(x\n)}":                      "a{b:url([x]\n)}",
		`@import`:                            `@import`,
		`a{b:image-set(url(x) 1x,"y.png" 2)`: `a{b:image-set(url([x]) 1x,"y.png" 2)`,
	} {
		got := rewriteCSS([]byte(text), func(ref string) string { return "[" + ref + "]" })
		if string(got) != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"x\n//# sourceMappingURL=a.map":         "x\n//# sourceMappingURL=[a.map]",
		"//@ sourceMappingURL=a.map\r\n":        "//@ sourceMappingURL=[a.map]\r\n",
		"s = '//# sourceMappingURL=a.map'":      "s = '//# sourceMappingURL=a.map'",
		"//# sourceMappingURL=a b\n":            "//# sourceMappingURL=a b\n",
		"//# sourceMappingURL=\n":               "//# sourceMappingURL=\n",
		"//# sourceMappingURL=${x}`\nlet y = 1": "//# sourceMappingURL=${x}`\nlet y = 1",
	} {
		got := rewriteJS([]byte(text), func(ref string) string { return "[" + ref + "]" })
		if string(got) != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzRewritingLeavesTheRestAlone(f *testing.F) {
	for _, seed := range []string{`@import "x";a{b:url( 'y' )}/*# sourceMappingURL=z */`, "//# sourceMappingURL=a\n", `"\`, `url(`, `/*`, "@import'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, rewrite := range map[string]rewriter{"css": rewriteCSS, "js": rewriteJS} {
			var refs int
			got := rewrite([]byte(text), func(ref string) string {
				refs++
				if ref == "" || !strings.Contains(text, ref) {
					t.Errorf("%s: %q refers to %q", name, text, ref)
				}
				return ref
			})
			if string(got) != text {
				t.Errorf("%s: %q became %q", name, text, got)
			}
		}
	})
}

// A source that changes between the hash and the copy: nothing gets a name that is not its own.
func TestAHashedNameHasItsOwnContent(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root, Source{"a", &opened{FS: memory("a", "x.bin", "one").FS, each: func(n int, m fstest.MapFS) {
		if n == 1 { // the hash is made by the first
			m["x.bin"] = &fstest.MapFile{Data: []byte("two"), Mode: 0o644}
		}
	}}})
	o.Hashed = true
	refused(t, o, ".bin of a: changed while it was collected")
	for name, text := range tree(t, root, true) {
		if strings.HasPrefix(name, "x.") && name != "x.bin" {
			t.Errorf("%s is there: %q", name, text)
		}
	}
}

// opened calls each after every time a file was opened.
type opened struct {
	fs.FS
	each func(n int, files fstest.MapFS)
	n    int
}

func (o *opened) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if st, _ := fs.Stat(o.FS, name); err == nil && st.Mode().IsRegular() {
		o.n++
		o.each(o.n, o.FS.(fstest.MapFS))
	}
	return f, err
}
