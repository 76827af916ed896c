package accept

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// sendfileMost is how much one system call may copy; the kernel ends at 2 GiB itself.
const sendfileMost = 4 << 20

// ReadFrom has the kernel copy where src is a regular file, alone or behind one
// io.LimitedReader.
func (c *Conn) ReadFrom(src io.Reader) (int64, error) {
	if n, done, err := copyFile(src, c.sendPart); done {
		return n, err
	}
	return io.Copy(writerOnly{c}, src)
}

// ReadFrom does the same, over unix sockets too, for which package net has nothing; and it
// has package net splice what comes from another connection.
func (c *kept) ReadFrom(src io.Reader) (int64, error) {
	if n, done, err := copyFile(src, c.sendPart); done {
		return n, err
	}
	return io.Copy(c.socket, src)
}

// copyFile copies from a regular file's offset, which moves along, by calls of part that
// copy something, or nothing at the end of the file. If it did nothing, because src is
// no such file or its file system cannot, it is not done. What of the limit is left is
// exact, also when a deadline ends it: nothing was read that was not sent.
func copyFile(src io.Reader, part func(from *origin, most int) (int, error)) (total int64, done bool, err error) {
	limit, r := int64(1<<63-1), src
	limited, ok := src.(*io.LimitedReader)
	if ok {
		limit, r = limited.N, limited.R
	}
	f, ok := regularFile(r)
	if !ok {
		return 0, false, nil
	}
	used := f.Control(func(fd uintptr) {
		from := originOf(fd, r)
		for n := 1; n > 0 && total < limit && err == nil; total += int64(n) {
			n, err = part(from, int(min(limit-total, sendfileMost)))
		}
	})
	if err == nil {
		err = used
	}
	if limited != nil {
		limited.N -= total
	}
	unable := errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP)
	return total, total > 0 || !unable, err
}

// shared is a file that several read at a time, each from an offset of his own. It says
// whether its content was in memory a moment ago.
type shared interface {
	Descriptor() syscall.RawConn
	Offset() *int64
	InMemory() bool
}

// origin is where a file is copied from.
type origin struct {
	fd       int
	offset   *int64 // nil: the descriptor's own
	inMemory bool   // until the peer keeps us waiting, which may be for long
}

func originOf(fd uintptr, r io.Reader) *origin {
	from := &origin{fd: int(fd)}
	if s, ok := r.(shared); ok {
		from.offset, from.inMemory = s.Offset(), s.InMemory()
	}
	return from
}

func regularFile(r io.Reader) (syscall.RawConn, bool) {
	f, ok := r.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return nil, false
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, false
	}
	switch f := r.(type) {
	case shared:
		return f.Descriptor(), true
	case syscall.Conn: // an *os.File, which io.Copy may have wrapped
		raw, err := f.SyscallConn()
		return raw, err == nil
	}
	return nil, false
}

func (c *Conn) sendPart(from *origin, most int) (n int, err error) {
	send := func(to int) (err error) {
		n, err = from.sendfile(to, most)
		return err
	}
	if c.inTime(&c.writeBy) && c.refs.acquire() {
		err = send(c.fd)
		c.release()
		if err == nil {
			return n, nil
		}
		if err != syscall.EAGAIN {
			return n, c.fail("sendfile", os.NewSyscallError("sendfile", err))
		}
	}
	err = c.wait("sendfile", (syscall.RawConn).Write, send)
	return n, err
}

func (c *kept) sendPart(from *origin, most int) (n int, err error) {
	var sent error
	err = c.raw.Write(func(to uintptr) bool {
		n, sent = from.sendfile(int(to), most)
		return sent != syscall.EAGAIN
	})
	if err == nil {
		err = sent
	}
	if err != nil {
		err = c.fail("sendfile", err)
	}
	return n, err
}

// sendfile may take long if it has to wait for a disk, and tells the scheduler then.
func (o *origin) sendfile(to, most int) (int, error) {
	n, err := retry(func() (int, error) {
		if o.inMemory {
			return rawSendfile(to, o.fd, o.offset, min(most, longest))
		}
		return syscall.Sendfile(to, o.fd, o.offset, most)
	})
	o.inMemory = o.inMemory && err == nil
	return max(n, 0), err
}

// writerOnly hides ReadFrom from io.Copy, which would call it again.
type writerOnly struct{ io.Writer }
