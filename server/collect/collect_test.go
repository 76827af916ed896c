package collect

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/seed17661985/ostler/server/static"
)

func TestFilesOfAllSourcesAreCopiedOnce(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "made", "static")
	from := t.TempDir()
	write(t, filepath.Join(from, "extra", "b.txt"), "b")
	o := options(root, memory(`app "shop"`, "shop/a.css", "a {}", ".hidden", "x", "dir/.git/config", "x"), dir(from), memory(`app "same"`, "shop/a.css", "a {}"))
	r, notes := collect(t, o)
	if r != (Result{Files: 2, Copied: 2}) {
		t.Errorf("first run: %+v", r)
	}
	if got, want := tree(t, root, true), map[string]string{"shop/a.css": "a {}", "extra/b.txt": "b"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !strings.Contains(notes, `app "shop": 2 skipped whose names begin with a dot`) {
		t.Errorf("notes: %s", notes)
	}
	if r, _ := collect(t, o); r != (Result{Files: 2, Unchanged: 2}) {
		t.Errorf("second run: %+v", r)
	}
	write(t, filepath.Join(root, "extra", "b.txt"), "c") // as long, and another
	if r, _ := collect(t, o); r != (Result{Files: 2, Copied: 1, Unchanged: 1}) || tree(t, root, true)["extra/b.txt"] != "b" {
		t.Errorf("after a change: %+v", r)
	}
	for name, want := range map[string]os.FileMode{"shop/a.css": 0o644, "shop": os.ModeDir | 0o755, ".": os.ModeDir | 0o755} {
		if st, err := os.Stat(filepath.Join(root, name)); err != nil || st.Mode() != want {
			t.Errorf("%s has the mode %v, %v: a web server of another user could not read it", name, st.Mode(), err)
		}
	}
}

func TestCollisionsNameBothSourcesAndChangeNothing(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "static")
	refused(t, options(root, memory(`app "shop"`, "app.css", "one"), memory("/srv/extra", "app.css", "two"), memory(`app "a"`, "x", "1"), memory(`app "b"`, "x/y", "2")),
		`app.css is in app "shop" and, with another content, in /srv/extra`, `x is a file in app "a" and a folder in app "b" (x/y)`)
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	missing := filepath.Join(root, "missing")
	o := options(missing, memory("a", "a.css", strings.Repeat("a {}\n", 1000)))
	o.DryRun, o.Hashed, o.Clear = true, true, true
	if r, notes := collect(t, o); r.Copied != 2 || !strings.Contains(notes, "would write a.css (a)") {
		t.Errorf("%+v\n%s", r, notes)
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
	o = options(root, memory("a", "old.css", "x", "a.css", "x"))
	collect(t, o)
	write(t, filepath.Join(root, "a.css"), "edited")
	write(t, filepath.Join(root, tempPrefix+"9"), "of a run that was killed")
	before, manifest := tree(t, root, true), manifestOf(t, root)
	o = options(root, memory("a", "a.css", strings.Repeat("a {}\n", 1000), "new/b.css", "x"))
	o.DryRun, o.Clear = true, true
	r, notes := collect(t, o)
	if r != (Result{Files: 2, Copied: 2, Compressed: 2, Removed: 1}) || !strings.Contains(notes, "would remove old.css") {
		t.Errorf("%+v\n%s", r, notes)
	}
	if got := tree(t, root, true); !maps.Equal(got, before) || len(manifestOf(t, root).Files) != len(manifest.Files) {
		t.Errorf("a dry run changed %v into %v", before, got)
	}
	o.DryRun = false
	if really, _ := collect(t, o); really != r {
		t.Errorf("it was %+v, and said to be %+v", really, r)
	}
}

func TestClearRemovesOnlyWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	text := strings.Repeat("some text\n", 500)
	o := options(root, memory("a", "keep.txt", text, "gone/deep/old.txt", text, "old.txt", "x"))
	collect(t, o)
	write(t, filepath.Join(root, "uploads", "by-hand.txt"), "not ours")
	o.Sources = []Source{memory("a", "keep.txt", text)}
	if r, _ := collect(t, o); r.Removed != 0 || tree(t, root, true)["old.txt"] != "x" {
		t.Errorf("without clear: %+v", r)
	}
	kept, err := os.Stat(filepath.Join(root, "keep.txt"))
	if err != nil {
		t.Fatal(err)
	}
	o.Clear = true
	r, notes := collect(t, o)
	if r != (Result{Files: 1, Unchanged: 1, Removed: 4}) || !strings.Contains(notes, "1 files in "+root+" are left alone") {
		t.Errorf("%+v\n%s", r, notes)
	}
	if got := names(tree(t, root, true)); got != "keep.txt keep.txt.gz keep.txt.zst uploads/by-hand.txt" {
		t.Errorf("left: %s", got)
	}
	if st, err := os.Stat(filepath.Join(root, "keep.txt")); err != nil || !st.ModTime().Equal(kept.ModTime()) {
		t.Errorf("what is wanted was written again")
	}
	if _, err := os.Stat(filepath.Join(root, "gone")); !os.IsNotExist(err) {
		t.Errorf("an empty folder stays: %v", err)
	}
	if got := strings.Join(manifestOf(t, root).Files, " "); got != "keep.txt keep.txt.gz keep.txt.zst" {
		t.Errorf("manifest: %s", got)
	}
	if r, _ := collect(t, o); r != (Result{Files: 1, Unchanged: 1}) {
		t.Errorf("again: %+v", r)
	}
}

func TestFoldersBecomeFilesAndFilesFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	collect(t, options(root, memory("a", "x", "1")))
	if r, _ := collect(t, options(root, memory("a", "x/y", "2"))); r.Copied != 1 || tree(t, root, true)["x/y"] != "2" {
		t.Errorf("%+v", r)
	}
	refused(t, options(root, memory("a", "x", "1")), "x of a: is a folder in "+root+": remove it")
	write(t, filepath.Join(root, "z"), "by hand")
	refused(t, options(root, memory("a", "z/y", "2")), "z in "+root+" should be a folder")
}

func TestSiblingsBelongToTheirFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	text := strings.Repeat("body { color: red }\n", 200)
	src := []string{"a.css", text, "small.css", "a {}", "photo.jpg", text, "own.js", text, "own.js.gz", "the source's own"}
	if r, _ := collect(t, options(root, memory("a", src...))); r != (Result{Files: 5, Copied: 5, Compressed: 3}) {
		t.Errorf("first run: %+v", r)
	}
	if got := names(tree(t, root, true)); got != "a.css a.css.gz a.css.zst own.js own.js.gz own.js.zst photo.jpg small.css" {
		t.Errorf("files: %s", got)
	}
	unpacked(t, root, "a.css", text)
	if r, _ := collect(t, options(root, memory("a", src...))); r != (Result{Files: 5, Unchanged: 5}) {
		t.Errorf("second run: %+v", r)
	}
	src[1] = strings.ToUpper(text)
	if r, _ := collect(t, options(root, memory("a", src...))); r != (Result{Files: 5, Copied: 1, Unchanged: 4, Compressed: 2}) {
		t.Errorf("after a change: %+v", r)
	}
	unpacked(t, root, "a.css", src[1])
	if err := os.Remove(filepath.Join(root, "a.css.gz")); err != nil {
		t.Fatal(err)
	}
	if r, _ := collect(t, options(root, memory("a", src...))); r.Compressed != 1 {
		t.Errorf("one was missing: %+v", r)
	}
	write(t, filepath.Join(root, "a.css.br"), "of a build that made these, too")
	src[1] = "a {}"
	collect(t, options(root, memory("a", src...)))
	if got := tree(t, root, true); got["a.css.gz"] != "" || got["a.css.zst"] != "" || got["a.css.br"] != "" {
		t.Error("siblings of an older content are left")
	}
}

// unpacked wants both siblings to have the text and the file's time, which tells servers that
// they belong to it.
func unpacked(t *testing.T, root, name, text string) {
	t.Helper()
	packed := tree(t, root, true)
	gz, err := gzip.NewReader(strings.NewReader(packed[name+".gz"]))
	if err != nil {
		t.Fatal(err)
	}
	zs, err := zstd.NewReader(strings.NewReader(packed[name+".zst"]), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer zs.Close()
	for ext, r := range map[string]io.Reader{".gz": gz, ".zst": zs} {
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s%s has another content, %v", name, ext, err)
		}
		of, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(root, name+ext)); err != nil || !st.ModTime().Equal(of.ModTime()) {
			t.Errorf("%s%s has another time, %v", name, ext, err)
		}
	}
}

func TestLinksAreMadeWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	from, root := filepath.Join(base, "from"), filepath.Join(base, "static")
	file := filepath.Join(from, "a.css")
	write(t, file, strings.Repeat("a {}\n", 1000))
	o := options(root, dir(from), memory(`app "embedded"`, "b.css", "b"))
	o.Link, o.Hashed = true, true
	if r, _ := collect(t, o); r != (Result{Files: 4, Linked: 1, Copied: 3, Compressed: 4}) {
		t.Errorf("first run: %+v", r)
	}
	if r, _ := collect(t, o); r != (Result{Files: 4, Unchanged: 4}) {
		t.Errorf("second run: %+v", r)
	}
	source, _ := os.Stat(file)
	linked, _ := os.Stat(filepath.Join(root, "a.css"))
	hashed, _ := os.Stat(filepath.Join(root, manifestOf(t, root).Assets["a.css"]))
	if !os.SameFile(source, linked) || os.SameFile(source, hashed) {
		t.Error("a.css should be a link, and its hashed name none")
	}
	o.Link = false
	if r, _ := collect(t, o); r != (Result{Files: 4, Copied: 1, Unchanged: 3, Compressed: 2}) {
		t.Errorf("from a link to a copy: %+v", r)
	}
	if st, _ := os.Stat(filepath.Join(root, "a.css")); os.SameFile(source, st) {
		t.Error("it is still a link")
	}
	o.Link = true
	if r, _ := collect(t, o); r.Linked != 1 {
		t.Errorf("and back: %+v", r)
	}
	write(t, file, "edited in place")
	if got := tree(t, root, true)["a.css"]; got != "edited in place" {
		t.Errorf("an edit does not show: %q", got)
	}
	// Its siblings are of what it was: a link changes with its source and without us.
	long := strings.Repeat("b {}\n", 1000)
	write(t, file, long)
	collect(t, o)
	unpacked(t, root, "a.css", long)
}

// While a file changes no compressed form of the old one is beside it.
func TestNoSiblingOutlivesItsFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root, memory("a", "a.css", strings.Repeat("a {}\n", 1000)))
	collect(t, o)
	looked := false
	o.Sources = []Source{{"a", &opened{FS: memory("a", "a.css", strings.Repeat("b {}\n", 999)).FS, each: func(int, fstest.MapFS) {
		looked = true
		if _, err := os.Stat(filepath.Join(root, "a.css.gz")); err == nil {
			t.Error("the sibling of the old content is there while the new one is copied")
		}
	}}}}
	collect(t, o)
	if !looked {
		t.Error("nothing was copied")
	}
}

func TestNothingOutsideIsTouched(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	root, from := filepath.Join(base, "static"), filepath.Join(base, "from")
	write(t, filepath.Join(base, "outside", "app.css"), "precious")
	write(t, filepath.Join(from, "real.css"), "real")
	for link, to := range map[string]string{
		filepath.Join(from, "out"): filepath.Join(base, "outside"), filepath.Join(from, "out.css"): "../outside/app.css",
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	r, notes := collect(t, options(root, dir(from)))
	if r != (Result{Files: 1, Copied: 1}) || !strings.Contains(notes, "out is skipped, it is not a file (symbolic link)") {
		t.Errorf("%+v\n%s", r, notes)
	}
	for name, to := range map[string]string{"css": "../outside", "in": "inner", "app.css": "../outside/app.css", "app.css.gz": "../outside/app.css"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "inner", "app.css"), "inner")
	refused(t, options(root, memory("a", "css/app.css", "new")), "css in "+root+" should be a folder and is none")
	refused(t, options(root, memory("a", "in/app.css", "new")), "in in "+root+" should be a folder and is none")
	text := strings.Repeat("new\n", 1000)
	if r, _ := collect(t, options(root, memory("a", "app.css", text))); r != (Result{Files: 1, Copied: 1, Compressed: 2}) {
		t.Errorf("%+v", r)
	}
	got := tree(t, base, false)
	if got["outside/app.css"] != "precious" || got["static/inner/app.css"] != "inner" || got["static/app.css"] != text {
		t.Errorf("got %v", got)
	}
	// Where the manifest names what has become a link, the link is not followed to remove it.
	o := options(root, memory("a", "dir/app.css", "x"))
	collect(t, o)
	if err := os.RemoveAll(filepath.Join(root, "dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join(root, "dir")); err != nil {
		t.Fatal(err)
	}
	o.Sources, o.Clear = nil, true
	refused(t, o, "dir in "+root+" should be a folder")
	if got := tree(t, base, false); got["outside/app.css"] != "precious" {
		t.Error("clear followed a link out of the folder")
	}
}

func TestTwoRunsDoNotMix(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	first, err := openTarget(options(root))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, options(root, memory("a", "a", "a")), root+": another collectstatic is at work here")
	first.close()
	collect(t, options(root, memory("a", "a", "a")))
	write(t, filepath.Join(root, static.ManifestName), "{")
	refused(t, options(root, memory("a", "a", "a")), "is damaged, remove it and collect again")
}
