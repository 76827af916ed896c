package server

import (
	"context"
	"os"
	"time"
)

// touchInterval is how often touch-reload files are looked at, as in uWSGI.
// Looking is used instead of inotify because the files may be on NFS, may not
// exist yet, and are usually replaced by rename.
const touchInterval = time.Second

// touched is what a change of a file shows in.
type touched struct {
	exists bool
	mtime  time.Time
	inode  os.FileInfo
}

func lookAt(path string) touched {
	st, err := os.Stat(path)
	if err != nil {
		return touched{}
	}
	return touched{exists: true, mtime: st.ModTime(), inode: st}
}

// changed follows uWSGI: a new time, a file that appeared, and a file replaced
// by another count; a file that went away does not (its successor will).
func (t touched) changed(now touched) bool {
	if !now.exists {
		return false
	}
	return !t.exists || !t.mtime.Equal(now.mtime) || !os.SameFile(t.inode, now.inode)
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

// watch looks once a second until ctx ends, and calls reload for what changed.
func (f touchFiles) watch(ctx context.Context, reload func(paths []string)) {
	tick := time.NewTicker(touchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if changed := f.look(); len(changed) > 0 {
			reload(changed)
		}
	}
}
