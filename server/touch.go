package server

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// touchInterval is how often touch-reload files are looked at, as in uWSGI.
// Looking is used instead of inotify because the files may be on NFS, may not
// exist yet, and are usually replaced by rename.
const touchInterval = time.Second

// touched is what a change of a file shows in.
type touched struct {
	Exists   bool
	ModTime  time.Time
	Dev, Ino uint64
}

func lookAt(path string) touched {
	st, err := os.Stat(path)
	if err != nil {
		return touched{}
	}
	t := touched{Exists: true, ModTime: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		t.Dev, t.Ino = uint64(sys.Dev), uint64(sys.Ino)
	}
	return t
}

// changed follows uWSGI: a new time, a file that appeared, and a file replaced
// by another count; a file that went away does not (its successor will).
func (t touched) changed(now touched) bool {
	if !now.Exists {
		return false
	}
	return !t.Exists || !t.ModTime.Equal(now.ModTime) || t.Dev != now.Dev || t.Ino != now.Ino
}

// touchFiles remembers how each file of touch-reload looked.
type touchFiles map[string]touched

func newTouchFiles(paths []string) touchFiles {
	f := make(touchFiles, len(paths))
	for _, p := range paths {
		f[p] = lookAt(p)
	}
	return f
}

// look returns the files that changed since the last look.
func (f touchFiles) look() (changed []string) {
	for p, was := range f {
		now := lookAt(p)
		f[p] = now
		if was.changed(now) {
			changed = append(changed, p)
		}
	}
	return changed
}

// inherit goes on from how the program before saw the files.
func (f touchFiles) inherit(seen map[string]touched) {
	for p := range f {
		if was, ok := seen[p]; ok {
			f[p] = was
		}
	}
}

// fileWatch looks at the files of touch-reload once a second.
type fileWatch struct {
	files   touchFiles // the looker's while there is one
	changed func(paths []string)
	stop    func() // returns when nobody looks
}

// begin looks until ctx ends or stop is called.
func (w *fileWatch) begin(ctx context.Context, among *sync.WaitGroup) {
	w.stop = func() {}
	if len(w.files) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	w.stop = func() { cancel(); <-ended }
	among.Go(func() {
		defer close(ended)
		w.look(ctx)
	})
}

func (w *fileWatch) look(ctx context.Context) {
	tick := time.NewTicker(touchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if changed := w.files.look(); len(changed) > 0 {
			w.changed(changed)
		}
	}
}
