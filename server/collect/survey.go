package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/server/static"
)

// entry is a file of a source.
type entry struct {
	name   string
	source *Source
	info   fs.FileInfo
}

// survey lists the files of all sources by name. Two sources with a file of one name and
// different contents are an error, and so is a file where another source has a folder.
func survey(sources []Source, note func(string)) (map[string]*entry, error) {
	all := map[string]*entry{}
	var collisions []error
	for i := range sources {
		s := &sources[i]
		skipped := 0
		err := fs.WalkDir(s.FS, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name == ".":
				return nil
			case !static.Servable(name):
				skipped++
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case d.IsDir():
				return nil
			case !d.Type().IsRegular():
				note(fmt.Sprintf("%s: %s is skipped, it is not a file (%s)", s.Name, name, kind(d.Type())))
				return nil
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			e := &entry{name: name, source: s, info: st}
			if other := all[name]; other != nil {
				collisions = append(collisions, collide(other, e))
				return nil
			}
			all[name] = e
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if skipped > 0 {
			note(fmt.Sprintf("%s: %d skipped whose names begin with a dot or have characters that are never served", s.Name, skipped))
		}
	}
	return all, errors.Join(append(collisions, foldersCollide(all)...)...)
}

func kind(m fs.FileMode) string {
	if m&fs.ModeSymlink != 0 {
		return "symbolic link"
	}
	return m.String()
}

// collide is nil if it does not matter which of the two is taken.
func collide(a, b *entry) error {
	same, err := sameContent(a, b)
	if err != nil {
		return err
	}
	if same {
		return nil
	}
	return fmt.Errorf("%s is in %s and, with another content, in %s: give it another name in one of them", a.name, a.source.Name, b.source.Name)
}

func sameContent(a, b *entry) (bool, error) {
	if a.info.Size() != b.info.Size() {
		return false, nil
	}
	x, err := a.source.FS.Open(a.name)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := b.source.FS.Open(b.name)
	if err != nil {
		return false, err
	}
	defer y.Close()
	return equal(x, y)
}

func foldersCollide(all map[string]*entry) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if file := all[dir]; file != nil {
				errs = append(errs, fmt.Errorf("%s is a file in %s and a folder in %s (%s): give one of them another name",
					dir, file.source.Name, all[name].source.Name, name))
			}
		}
	}
	return errs
}

// keys are sorted.
func keys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// within reports whether a cleaned relative path does not lead out.
func within(name string) bool { return name != ".." && !strings.HasPrefix(name, "../") }
