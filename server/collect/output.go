package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed17661985/ostler/server/static"
)

// output is a file as it is to be in the folder.
type output struct {
	name   string
	from   *entry
	text   []byte // instead of the source's content; nil: as it is
	hashed bool
}

func (o output) size() int64 {
	if o.text != nil {
		return int64(len(o.text))
	}
	return o.from.info.Size()
}

func (o output) open() (io.ReadCloser, error) {
	if o.text != nil {
		return io.NopCloser(bytes.NewReader(o.text)), nil
	}
	return o.from.source.FS.Open(o.from.name)
}

// copyHashed copies what the name has the hash of: a file may have changed since that was made,
// and what has such a name is kept by browsers for ever.
func (o output) copyHashed(w io.Writer, src io.Reader) error {
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, h), src); err != nil {
		return err
	}
	if static.HashedName(o.from.name, hex.EncodeToString(h.Sum(nil))) != o.name {
		return errors.New("changed while it was collected: collect again")
	}
	return nil
}

func (o output) failed(err error) error {
	return fmt.Errorf("%s of %s: %w", o.name, o.from.source.Name, err)
}

// original is the file on disk that the output would be a link to; nil if the source has
// none, as an embedded file.
func (o output) original() (*os.File, error) {
	r, err := o.from.source.FS.Open(o.from.name)
	if err != nil {
		return nil, err
	}
	if f, ok := r.(*os.File); ok {
		return f, nil
	}
	return nil, r.Close()
}

// equal compares to the end.
func equal(a, b io.Reader) (bool, error) {
	var x, y [8 << 10]byte
	for {
		n, errA := io.ReadFull(a, x[:])
		m, errB := io.ReadFull(b, y[:])
		switch {
		case errA != nil && !over(errA):
			return false, errA
		case errB != nil && !over(errB):
			return false, errB
		case !bytes.Equal(x[:n], y[:m]):
			return false, nil
		case errA != nil: // and so errB: full buffers are equally long
			return true, nil
		}
	}
}

func over(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
