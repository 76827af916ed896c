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
	limit, r := int64(1<<63-1), src
	limited, ok := src.(*io.LimitedReader)
	if ok {
		limit, r = limited.N, limited.R
	}
	f, ok := regularFile(r)
	if !ok {
		return io.Copy(writerOnly{c}, src)
	}
	n, err := c.sendfile(f, limit)
	if limited != nil {
		limited.N -= n
	}
	if n == 0 && (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP)) {
		return io.Copy(writerOnly{c}, src) // a file system that cannot
	}
	return n, err
}

// file is what is needed of an *os.File, which io.Copy may have wrapped.
type file interface {
	io.Reader
	Stat() (fs.FileInfo, error)
	SyscallConn() (syscall.RawConn, error)
}

func regularFile(r io.Reader) (syscall.RawConn, bool) {
	f, ok := r.(file)
	if !ok {
		return nil, false
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, false
	}
	raw, err := f.SyscallConn()
	return raw, err == nil
}

// sendfile copies from the file's own offset, which moves along.
func (c *Conn) sendfile(src syscall.RawConn, limit int64) (total int64, err error) {
	used := src.Control(func(from uintptr) {
		for n := 1; n > 0 && total < limit && err == nil; total += int64(n) {
			n, err = c.sendPart(int(from), int(min(limit-total, sendfileMost)))
		}
	})
	if err == nil {
		err = used
	}
	return total, err
}

// sendPart is one call that copies something, or nothing at the end of the file.
func (c *Conn) sendPart(from, most int) (n int, err error) {
	send := func(to int) (err error) {
		n, err = retry(func() (int, error) { return syscall.Sendfile(to, from, nil, most) })
		n = max(n, 0)
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

// writerOnly hides ReadFrom from io.Copy, which would call it again.
type writerOnly struct{ io.Writer }

var _ file = (*os.File)(nil)
