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

// watchTouch calls reload with the path of each file that changed, until ctx
// ends.
func watchTouch(ctx context.Context, paths []string, tick <-chan time.Time, reload func(path string)) {
	seen := make(map[string]touched, len(paths))
	for _, p := range paths {
		seen[p] = lookAt(p)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		for _, p := range paths {
			now := lookAt(p)
			was := seen[p]
			seen[p] = now
			if was.changed(now) {
				reload(p)
			}
		}
	}
}
