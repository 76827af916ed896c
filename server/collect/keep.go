package collect

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"github.com/seed17661985/ostler/server/static"
)

// intend says what this run may put there. The manifest has it before the first file is
// there, or a run that is killed would leave files that nobody may remove.
func (t *target) intend(outputs map[string]bool) {
	t.intended = map[string]bool{}
	for name := range outputs {
		t.intended[name] = true
		if static.Compressible(name) {
			for _, c := range codings() {
				t.intended[name+c.ext] = true
			}
		}
	}
}

// setManifest replaces the manifest, unless it says that already.
func (t *target) setManifest(assets map[string]string, files []string) error {
	slices.Sort(files)
	m := static.Manifest{Assets: assets, Files: slices.Compact(files)}
	if t.dry || maps.Equal(m.Assets, t.manifest.Assets) && slices.Equal(m.Files, t.manifest.Files) {
		return nil
	}
	t.intended = nil
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	err = t.write(static.ManifestName, time.Time{}, func(w io.Writer) error {
		if _, err := w.Write(text); err != nil {
			return err
		}
		return w.(*os.File).Sync()
	})
	if err == nil {
		t.manifest = m
	}
	return err
}

// ours reports whether an earlier run has put something there.
func (t *target) ours(name string) bool {
	_, found := slices.BinarySearch(t.manifest.Files, name)
	return found
}

// remove removes a file, or a symbolic link itself.
func (t *target) remove(name string) error {
	st, err := t.stat(name)
	if err != nil || st == nil || st.IsDir() {
		return err
	}
	if t.dry {
		t.note("would remove " + name)
		return nil
	}
	return t.root.Remove(name)
}

// removed reports whether there was something to remove. Folders that are empty then go, too.
func (t *target) removed(name string) (bool, error) {
	st, err := t.stat(name)
	if err != nil || st == nil || st.IsDir() {
		return false, err
	}
	if err := t.remove(name); err != nil || t.dry {
		return true, err
	}
	for dir := path.Dir(name); dir != "." && t.root.Remove(dir) == nil; dir = path.Dir(dir) {
		delete(t.folders, dir)
	}
	return true, nil
}

// countForeign says how much is left that no run has put there.
func (t *target) countForeign(wanted map[string]bool) error {
	if t.root == nil {
		return nil
	}
	n := 0
	err := fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !wanted[name] && !t.ours(name) && name != static.ManifestName {
			n++
		}
		return err
	})
	if n > 0 {
		t.note(fmt.Sprintf("%d files in %s are left alone: collectstatic has not put them there", n, t.root.Name()))
	}
	return err
}
