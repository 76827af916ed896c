package collect

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/seed17661985/ostler/server/static"
)

// Source is a tree of files and what to call it in messages.
type Source struct {
	Name string
	FS   fs.FS
}

// Options say what is collected, and how. Root and Sources are required.
type Options struct {
	Root    string // the folder; made if it is not there
	Sources []Source

	// URL is the path under which Root is served, "/static/": references that begin with it
	// are references to what is collected. Empty: none are.
	URL string

	Hashed bool        // also give each file a name with the hash of its content
	DryRun bool        // change nothing
	Clear  bool        // remove what earlier runs have put there and is not wanted any more
	Link   bool        // make hard links to files where that is possible, copies where it is not
	Umask  fs.FileMode // permissions that files and folders are made without

	// Note is told what the operator may want to know, a line each. Nil: nobody.
	Note func(line string)
}

// Result counts. Files with hashed names count as others do.
type Result struct {
	Files      int // that are wanted, without compressed siblings
	Copied     int
	Linked     int
	Unchanged  int
	Compressed int // siblings that were written
	Removed    int // siblings among them
}

// Run collects. The error of a file names it and its source; a run that ends with an error, or
// with ctx, leaves a folder that works.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	entries, err := survey(o.Sources, o.Note)
	if err != nil {
		return Result{}, err
	}
	outputs, assets, err := layOut(ctx, entries, o)
	if err != nil {
		return Result{}, err
	}
	t, err := openTarget(o)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	r := &run{Options: o, target: t, wanted: map[string]bool{}}
	err = r.all(ctx, outputs, assets)
	return r.result, err
}

// run is one run of the collector, behind the point where the folder is open.
type run struct {
	Options
	*target
	squeezer squeezer
	wanted   map[string]bool // what is to stay
	result   Result
}

func (r *run) all(ctx context.Context, outputs []output, assets map[string]string) error {
	for _, out := range outputs {
		r.wanted[out.name] = true
	}
	r.intend(r.wanted)
	for _, out := range outputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.put(out); err != nil {
			return err
		}
	}
	r.result.Files = len(outputs)
	mine := slices.Concat(r.manifest.Files, keys(r.wanted))
	if err := r.setManifest(assets, mine); err != nil || !r.Clear {
		return err
	}
	if err := r.clear(); err != nil {
		return err
	}
	return r.setManifest(assets, keys(r.wanted))
}

// put brings one file and its siblings up to date.
func (r *run) put(out output) error {
	same, linked, err := r.compare(out)
	if err != nil {
		return out.failed(err)
	}
	link := r.Link && !out.hashed // what is behind a hashed name must not change with its source
	if link && !linked {
		done, err := r.link(out, func() error { return r.dropSiblings(out) })
		if err != nil {
			return out.failed(err)
		}
		if done {
			r.result.Linked++
			return r.siblings(out)
		}
	}
	if same && (link || !linked) {
		r.result.Unchanged++
		return r.siblings(out)
	}
	if err := errors.Join(r.dropSiblings(out), r.copy(out)); err != nil {
		return out.failed(err)
	}
	r.result.Copied++
	return r.siblings(out)
}

// dropSiblings comes before a file changes: a sibling must never be of another content, and
// web servers do not compare times. Those that a source brings along come back in their turn.
func (r *run) dropSiblings(out output) error {
	for _, ext := range [...]string{".gz", ".zst", ".br"} {
		if err := r.remove(out.name + ext); err != nil {
			return err
		}
	}
	return nil
}

// clear removes what was put there once and is not wanted.
func (r *run) clear() error {
	for _, name := range r.manifest.Files {
		if r.wanted[name] {
			continue
		}
		there, err := r.removed(name)
		if err != nil {
			return err
		}
		if there {
			r.result.Removed++
		}
	}
	return r.countForeign(r.wanted)
}

// siblings makes the compressed forms of a file that are not there yet. One that a source
// brings along is left alone.
func (r *run) siblings(out output) error {
	if !static.Compressible(out.name) {
		return nil
	}
	of, err := r.stat(out.name)
	if err != nil {
		return out.failed(err)
	}
	for _, c := range codings() {
		name := out.name + c.ext
		if r.wanted[name] {
			continue
		}
		is, wrote, err := r.sibling(out, of, c)
		if err != nil {
			return out.failed(err)
		}
		if is {
			r.wanted[name] = true
		}
		if wrote {
			r.result.Compressed++
		}
	}
	return nil
}
