package static

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// moment is how long a file stays open for the next requests. Its own changes are seen at
	// once; those of its path, folders and symbolic links, when the moment is over.
	moment = 100 * time.Millisecond

	// shelfRoom is how many files stay open at a time. Further ones are opened for each request.
	shelfRoom = 64

	// memoryMost is the size up to which a file that was sent is taken to be in memory still.
	memoryMost = 1 << 20
)

// shelf keeps files open for a moment. To look at an open file costs one system call, and to
// open one in its os.Root, look at it, and close it half a dozen.
type shelf struct {
	mu    sync.Mutex
	files map[place]*handle // nil when the shelf is closed
}

type place struct {
	tree *tree
	name string
}

// handle is an open file. Those who read it share nothing else of it.
type handle struct {
	file *os.File
	info fs.FileInfo
	raw  syscall.RawConn

	users int         // guarded by shelf.mu; the shelf is one
	read  atomic.Bool // all of it, since it was opened
}

func newShelf() *shelf { return &shelf{files: make(map[place]*handle)} }

// take gives nil if the file is not there, or not what it was any more.
func (s *shelf) take(at place) *handle {
	s.mu.Lock()
	o := s.files[at]
	if o != nil {
		o.users++
	}
	s.mu.Unlock()
	if o == nil || o.unchanged() {
		return o
	}
	s.remove(at, o)
	s.leave(o)
	return nil
}

// put keeps a file that its caller has just opened, and still has to leave. If it is there
// already, two have opened it at once.
func (s *shelf) put(at place, o *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[at]; there || s.files == nil || len(s.files) == shelfRoom {
		return
	}
	o.users++
	s.files[at] = o
	time.AfterFunc(moment, func() { s.remove(at, o) })
}

func (s *shelf) remove(at place, o *handle) {
	s.mu.Lock()
	there := s.files[at] == o
	if there {
		delete(s.files, at)
	}
	s.mu.Unlock()
	if there {
		s.leave(o)
	}
}

// leave ends what take or put began. Nobody hears of an error of closing what was only read.
func (s *shelf) leave(o *handle) {
	s.mu.Lock()
	o.users--
	last := o.users == 0
	s.mu.Unlock()
	if last {
		_ = o.file.Close()
	}
}

func (s *shelf) close() {
	s.mu.Lock()
	files := s.files
	s.files = nil
	s.mu.Unlock()
	for _, o := range files {
		s.leave(o)
	}
}

// view is what one request sees of a file: from an offset of its own. It is an io.ReadSeeker,
// and all that a connection wants to know to have the kernel send the file.
type view struct {
	*handle
	offset int64
}

func (v *view) Read(p []byte) (int, error) {
	n, err := v.file.ReadAt(p, v.offset)
	v.offset += int64(n)
	return n, err
}

func (v *view) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += v.offset
	case io.SeekEnd:
		offset += v.info.Size()
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	v.offset = offset
	return offset, nil
}

// Stat says what the file was when it was opened.
func (v *view) Stat() (fs.FileInfo, error) { return v.info, nil }

// Descriptor is for who has the kernel read from Offset. It is not called SyscallConn: package
// net would have the kernel read from the descriptor's own offset, which means nothing.
func (v *view) Descriptor() syscall.RawConn { return v.raw }

// Offset is where the next byte comes from. Who reads in another way than by Read moves it.
func (v *view) Offset() *int64 { return &v.offset }

// InMemory reports whether the kernel will hardly have to wait for a disk.
func (v *view) InMemory() bool { return v.read.Load() }
