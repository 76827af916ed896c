package collect

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// leastSize is the size of a file below which compression does not pay: it would travel in one
// packet anyway.
const leastSize = 1 << 10

// errNoGain: the compressed form is not smaller.
var errNoGain = errors.New("not smaller")

// coding is a way to compress, and the end of a sibling's name. nginx's gzip_static and its
// zstd and brotli modules look for the same names.
type coding struct {
	ext  string
	make func(*squeezer, io.Writer) (io.WriteCloser, error)
}

func codings() [2]coding {
	return [...]coding{{".gz", (*squeezer).gzip}, {".zst", (*squeezer).zstd}}
}

// squeezer keeps the compressors, whose tables are large, from file to file.
type squeezer struct {
	gz *gzip.Writer
	zs *zstd.Encoder
}

func (s *squeezer) gzip(w io.Writer) (io.WriteCloser, error) {
	if s.gz == nil {
		var err error
		if s.gz, err = gzip.NewWriterLevel(w, gzip.BestCompression); err != nil {
			return nil, err
		}
		return s.gz, nil
	}
	s.gz.Reset(w)
	return s.gz, nil
}

// zstd has a window that every browser takes (RFC 9659).
func (s *squeezer) zstd(w io.Writer) (io.WriteCloser, error) {
	if s.zs == nil {
		var err error
		s.zs, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
		return s.zs, err
	}
	s.zs.Reset(w)
	return s.zs, nil
}

// sibling brings the compressed form of a file up to date. It belongs to the file as long as
// their times are equal. is reports whether it is there in the end.
func (r *run) sibling(out output, of fs.FileInfo, c coding) (is, wrote bool, err error) {
	name := out.name + c.ext
	have, err := r.stat(name)
	if err != nil {
		return false, false, err
	}
	if of == nil || out.size() < leastSize { // in a dry run the file may not be there
		return false, false, r.removeIf(have != nil, name)
	}
	if have != nil && have.Mode().IsRegular() && have.ModTime().Equal(of.ModTime()) {
		return true, false, nil
	}
	if r.dry {
		r.note("would compress " + name)
		return true, true, nil
	}
	if err := r.removeIf(have != nil, name); err != nil {
		return false, false, err
	}
	err = r.write(name, of.ModTime(), func(w io.Writer) error { return r.squeeze(out.name, w, c) })
	if errors.Is(err, errNoGain) {
		return false, false, nil
	}
	return err == nil, err == nil, err
}

func (t *target) removeIf(there bool, name string) error {
	if !there {
		return nil
	}
	return t.remove(name)
}

// squeeze compresses a file of the folder.
func (r *run) squeeze(name string, w io.Writer, c coding) error {
	src, err := r.root.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	count := &counter{Writer: w}
	z, err := c.make(&r.squeezer, count)
	if err != nil {
		return err
	}
	size, err := io.Copy(z, src)
	if err := errors.Join(err, z.Close()); err != nil {
		return err
	}
	if count.n >= size {
		return errNoGain
	}
	return nil
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}
