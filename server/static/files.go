package static

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Place is a folder, and where it is in the paths of requests.
type Place struct {
	// Prefix is "/static" for all below /static/: decoded, in whole segments, with no slash
	// at its end. "" is the root.
	Prefix string

	// Path is the folder, or a file that answers for Prefix itself.
	Path string

	// Lasting reports whether the content of a file will never change. Nil: it may.
	Lasting func(name string) bool
}

// Options say which files there are.
type Options struct {
	Places []Place  // the first that has a file answers
	Index  []string // files that answer for their folder, the first that is there; none: no file does

	// Unavailable is told of each request that is answered 503 because its file cannot be opened
	// now, see the function of this name. Nil: nobody is.
	Unavailable func(name string, err error)
}

// Files are the files of some places.
type Files struct {
	trees []tree
	index []string
	shelf *shelf

	unavailable func(name string, err error)
}

// tree is a Place that is open.
type tree struct {
	Place
	files *Files
	root  *os.Root
	file  string // the one file that there is; "": all
}

// Open opens the folders, as they are now: one that is replaced later is served as it was.
// An error names the folder.
func Open(o Options) (*Files, error) {
	f := &Files{index: o.Index, shelf: newShelf(), unavailable: o.Unavailable}
	if f.unavailable == nil {
		f.unavailable = func(string, error) {}
	}
	for _, p := range o.Places {
		t, err := openTree(p)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		t.files = f
		f.trees = append(f.trees, t)
	}
	return f, nil
}

func openTree(p Place) (tree, error) {
	t := tree{Place: p}
	st, err := os.Stat(p.Path)
	folder := p.Path
	if err == nil && !st.IsDir() {
		folder, t.file = filepath.Split(p.Path)
	}
	if err == nil {
		t.root, err = os.OpenRoot(folder)
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	if err != nil {
		return t, fmt.Errorf("%s: %w", p.Path, err)
	}
	return t, nil
}

// Close closes the folders. Files that were found stay open.
func (f *Files) Close() error {
	f.shelf.close()
	var errs []error
	for _, t := range f.trees {
		errs = append(errs, t.root.Close())
	}
	return errors.Join(errs...)
}

// Find opens the file that r asks for, or gives nil: another has to answer. The file
// must be served or closed.
//
// The client's view decides: script, which is what stands before r.URL.Path in it, and the
// path together. If that leads nowhere, the server as a whole may hang below a prefix that
// only the front end knows, and the path alone decides.
func (f *Files) Find(r *http.Request, script string) *File {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	if found := f.find(script + r.URL.Path); found != nil || script == "" {
		return found
	}
	return f.find(r.URL.Path)
}

func (f *Files) find(at string) *File {
	for i := range f.trees {
		if found := f.trees[i].find(at, f.index); found != nil {
			return found
		}
	}
	return nil
}

func (t *tree) find(at string, index []string) *File {
	rest, ok := strings.CutPrefix(at, t.Prefix)
	switch {
	case !ok:
		return nil
	case t.file != "":
		if rest != "" {
			return nil
		}
		found, _ := t.regular(t.file)
		return found
	case rest != "" && rest[0] != '/':
		return nil // the name of a neighbour that begins alike
	case rest == "//":
		return nil // an empty segment
	}
	name, folder := strings.CutSuffix(strings.TrimPrefix(rest, "/"), "/")
	if name == "" {
		return t.folder(".", rest == "/", index)
	}
	if !Servable(name) {
		return nil
	}
	if !folder {
		if found, isFolder := t.regular(name); !isFolder {
			return found
		}
	}
	return t.folder(name, folder, index)
}

// folder finds what answers for a folder. Links in an index are relative to the folder, so
// a path without a slash at its end is sent to the one with it.
func (t *tree) folder(name string, slash bool, index []string) *File {
	for _, i := range index {
		found, _ := t.regular(path.Join(name, i))
		if found == nil {
			continue
		}
		if !slash && found.unavailable == nil {
			found.moved = "./" + path.Base(path.Join(t.Prefix, name)) + "/"
		}
		return found
	}
	return nil
}

// regular opens a file, and reports whether it is a folder instead. O_NONBLOCK: to open a pipe
// would mean to wait for its writer.
func (t *tree) regular(name string) (found *File, isFolder bool) {
	at := place{t, name}
	o := t.files.shelf.take(at)
	if o == nil {
		f, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if Unavailable(err) {
			return &File{name: name, tree: t, unavailable: err}, false
		}
		if err != nil {
			return nil, false
		}
		if o, isFolder = checked(f); o == nil {
			return nil, isFolder
		}
		o.users = 1
		if local(o) {
			t.files.shelf.put(at, o)
		}
	}
	return &File{content: view{handle: o}, name: name, tree: t}, false
}

// Unavailable reports whether err is of a file that is there, as far as one knows: to say that
// it is not would be wrong, and clients and caches would remember it.
func Unavailable(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.ESTALE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// checked closes what is not a file.
func checked(f *os.File) (o *handle, isFolder bool) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		_ = f.Close()
		return nil, err == nil && st.IsDir()
	}
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, false
	}
	return &handle{file: f, info: st, raw: raw}, false
}

// OpenFile opens a file that is in no Place: the caller answers for its name. The error
// is of kind fs.ErrNotExist also for what is not a regular file.
func OpenFile(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	o, _ := checked(f)
	if o == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &File{content: view{handle: o}, name: filepath.Base(name)}, nil
}
