package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/server/static"
)

// tempPrefix begins the names of files that are not whole yet. The dot keeps them from being
// served.
const tempPrefix = ".ostler-tmp-"

// target is the folder that is collected into.
type target struct {
	root     *os.Root // nil in a dry run into a folder that is not there
	lock     *os.File
	umask    fs.FileMode
	dry      bool
	note     func(string)
	manifest static.Manifest

	intended map[string]bool // what is about to be put there; nil: the manifest on disk says so already
	folders  map[string]bool // that are there
	temps    int
}

func openTarget(o Options) (*target, error) {
	t := &target{umask: o.Umask, dry: o.DryRun, note: o.Note, folders: map[string]bool{".": true}}
	if !t.dry {
		if err := os.MkdirAll(o.Root, 0o777&^o.Umask); err != nil {
			return nil, err
		}
	}
	var err error
	if t.root, err = os.OpenRoot(o.Root); err != nil {
		if t.dry && errors.Is(err, fs.ErrNotExist) {
			return t, nil
		}
		return nil, err
	}
	if err := t.prepare(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// prepare takes the folder for this run alone and removes what a run that was killed left.
func (t *target) prepare() error {
	var err error
	if t.lock, err = t.root.Open("."); err != nil {
		return err
	}
	if !t.dry {
		if err := exclusive(t.lock); err != nil {
			return fmt.Errorf("%s: another collectstatic is at work here: %w", t.root.Name(), err)
		}
	}
	if t.manifest, err = static.ReadManifest(t.root); err != nil || t.dry {
		return err
	}
	names, err := t.lock.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			if err := t.root.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func exclusive(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return errors.Join(err, locked)
}

func (t *target) close() {
	if t.lock != nil {
		_ = t.lock.Close() // read only
	}
	if t.root != nil {
		_ = t.root.Close()
	}
}

// stat looks at a name itself, not at where it leads; nil if nothing is there.
func (t *target) stat(name string) (fs.FileInfo, error) {
	if t.root == nil {
		return nil, nil
	}
	if there, err := t.folder(path.Dir(name), false); err != nil || !there {
		return nil, err
	}
	st, err := t.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return st, err
}

// compare tells whether an output is there already, and whether that is a link to its source.
func (t *target) compare(out output) (same, linked bool, err error) {
	st, err := t.stat(out.name)
	switch {
	case err != nil || st == nil:
		return false, false, err
	case st.IsDir():
		return false, false, fmt.Errorf("is a folder in %s: remove it", t.root.Name())
	case !st.Mode().IsRegular():
		return false, false, nil
	}
	if linked = os.SameFile(out.from.info, st); linked || st.Size() != out.size() {
		return linked, linked, nil
	}
	have, err := t.root.Open(out.name)
	if err != nil {
		return false, false, err
	}
	defer have.Close()
	want, err := out.open()
	if err != nil {
		return false, false, err
	}
	defer want.Close()
	same, err = equal(have, want)
	return same, false, err
}

func (t *target) copy(out output) error {
	if t.dry {
		t.note(fmt.Sprintf("would write %s (%s)", out.name, out.from.source.Name))
		return nil
	}
	return t.write(out.name, time.Time{}, func(w io.Writer) error {
		src, err := out.open()
		if err != nil {
			return err
		}
		defer src.Close()
		if !out.hashed || out.text != nil {
			_, err = io.Copy(w, src)
			return err
		}
		return out.copyHashed(w, src)
	})
}

// link makes a hard link; before is called when it is about to take its name. That it did not
// is no error where it cannot: an embedded file, another file system.
func (t *target) link(out output, before func() error) (bool, error) {
	f, err := out.original()
	if err != nil || f == nil {
		return false, err
	}
	defer f.Close()
	own, err := f.Stat()
	if err != nil {
		return false, err
	}
	if t.dry {
		t.note(fmt.Sprintf("would link %s (%s)", out.name, out.from.source.Name))
		return true, nil
	}
	if err := t.begin(out.name); err != nil {
		return false, err
	}
	temp := t.temp()
	if os.Link(f.Name(), filepath.Join(t.root.Name(), temp)) != nil {
		return false, nil
	}
	st, err := t.root.Lstat(temp)
	if err == nil && !os.SameFile(own, st) {
		err = fmt.Errorf("%s was replaced meanwhile: collect again", f.Name())
	}
	if err == nil {
		err = before()
	}
	if err == nil {
		err = t.root.Rename(temp, out.name)
	}
	if err != nil {
		return false, errors.Join(err, t.root.Remove(temp))
	}
	return true, nil
}

func (t *target) temp() string {
	t.temps++
	return fmt.Sprintf("%s%d", tempPrefix, t.temps)
}

// write makes a file of what fill writes, whole or not at all. A zero time is now.
func (t *target) write(name string, at time.Time, fill func(io.Writer) error) error {
	if err := t.begin(name); err != nil {
		return err
	}
	temp := t.temp()
	f, err := t.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Chmod(0o666 &^ t.umask) // nginx is another user
	}
	err = errors.Join(err, f.Close())
	if err == nil && !at.IsZero() {
		err = t.root.Chtimes(temp, at, at)
	}
	if err == nil {
		err = t.root.Rename(temp, name)
	}
	if err != nil {
		_ = t.root.Remove(temp) // the next run would, too
	}
	return err
}

// begin comes before the first change, and before each file.
func (t *target) begin(name string) error {
	if t.intended != nil {
		all := t.intended
		t.intended = nil
		if err := t.setManifest(t.manifest.Assets, append(keys(all), t.manifest.Files...)); err != nil {
			return err
		}
	}
	_, err := t.folder(path.Dir(name), true)
	return err
}

// folder reports whether a folder is there, and can make it. A symbolic link in its place is
// not followed, even to another place in the root.
func (t *target) folder(name string, create bool) (bool, error) {
	if t.folders[name] {
		return true, nil
	}
	if there, err := t.folder(path.Dir(name), create); err != nil || !there {
		return false, err
	}
	st, err := t.root.Lstat(name)
	if err == nil && st.Mode().IsRegular() && t.ours(name) { // a file has become a folder
		err = fs.ErrNotExist
		if create {
			err = cmp.Or(t.root.Remove(name), err)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !create {
			return false, nil
		}
		if err := errors.Join(t.root.Mkdir(name, 0o700), t.root.Chmod(name, 0o777&^t.umask)); err != nil {
			return false, err
		}
	case err != nil:
		return false, err
	case !st.IsDir():
		return false, fmt.Errorf("%s in %s should be a folder and is none (%s): remove it", name, t.root.Name(), st.Mode())
	}
	t.folders[name] = true
	return true, nil
}
