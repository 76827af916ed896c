package endpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// quiet is how long a client may say nothing before it is taken for one that never
	// will, as uwsgi --connect-and-read and uwsgitop are. An http client sends its request
	// right behind the packet that opens the connection.
	quiet = 250 * time.Millisecond

	// linger is how long we read on behind a raw document. A client that was late with its
	// request would otherwise be answered by a reset, which can take the document from it.
	linger     = time.Second
	maxIgnored = 64 << 10 // of what is read then
)

// dialects is the listener in front of net/http. It looks at the first byte of each
// connection: what may be http is handed on, everybody else gets the document and a close.
// Each is looked at on a goroutine of its own, so that silent ones hold up nobody.
type dialects struct {
	ln    net.Listener
	open  *conns
	dump  func() []byte // the document
	web   chan *conn    // to net/http
	close sync.Once

	ending  chan struct{}  // closed by Close
	failed  chan struct{}  // closed when accept has ended and nobody is looked at any more
	err     error          // why it has; valid after failed
	sorting sync.WaitGroup // connections that are looked at
	raw     sync.WaitGroup // likewise, and those that are not net/http's
}

func newDialects(ln net.Listener, open *conns, dump func() []byte) *dialects {
	d := &dialects{
		ln: ln, open: open, dump: dump, web: make(chan *conn),
		ending: make(chan struct{}), failed: make(chan struct{}),
	}
	go func() {
		defer close(d.failed)
		d.err = d.accept()
		d.sorting.Wait()
	}()
	return d
}

// Addr is where clients connect.
func (d *dialects) Addr() net.Addr { return d.ln.Addr() }

// Accept gives net/http the connections that are for it: all of them, before it says that
// there are no more.
func (d *dialects) Accept() (net.Conn, error) {
	select {
	case c := <-d.web:
		return c, nil
	case <-d.failed:
		return nil, d.err
	}
}

// Close ends the listening. It returns when all connections that came were handed on, so
// somebody has to accept them; those that are being answered go on.
func (d *dialects) Close() error {
	d.close.Do(func() { close(d.ending) })
	err := d.ln.Close()
	<-d.failed
	return err
}

// finish waits for the connections that are left, after Close, and cuts them when ctx ends.
func (d *dialects) finish(ctx context.Context) {
	answered := make(chan struct{})
	go func() {
		d.raw.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
		d.open.cut()
	}
}

// accept runs until the listener fails. That there are too many open files is no failure:
// it waits for some to be closed, for longer each time.
func (d *dialects) accept() error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		c, err := d.ln.Accept()
		if err == nil {
			pause = shortest
			client := d.open.admit(c)
			d.sorting.Add(1)
			d.raw.Go(func() { d.sort(client) })
			continue
		}
		if !temporary(err) {
			return err
		}
		select {
		case <-d.ending:
			return err
		case <-time.After(pause):
			pause = min(2*pause, longest)
		}
	}
}

// temporary asks what net/http's accept loop asks as well. The method is deprecated for
// errors in general; of an accept it still means what it says.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// sort finds out what the client speaks. The end of its input may be half a close: it is
// still there to read then.
func (d *dialects) sort(c *conn) {
	first := make([]byte, 1)
	_ = c.SetReadDeadline(time.Now().Add(quiet))
	n, err := c.Read(first)
	_ = c.SetReadDeadline(time.Time{})
	if n == 1 && first[0] >= 'A' && first[0] <= 'Z' { // a method
		c.ahead = first
		d.web <- c
		d.sorting.Done()
		return
	}
	d.sorting.Done()
	if n == 1 || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
		d.answer(c)
		return
	}
	_ = c.Close()
}

// answer writes the document. While the client does not read, that costs this goroutine;
// the document is shared with whoever asked at the same time.
func (d *dialects) answer(c *conn) {
	defer c.Close()
	document := d.dump()
	_ = c.SetDeadline(time.Now().Add(writeTimeout))
	if _, err := c.Write(document); err != nil {
		return // the client's trouble, not ours
	}
	c.closeWrite()
	_ = c.SetReadDeadline(time.Now().Add(linger))
	_, _ = io.CopyN(io.Discard, c, maxIgnored)
}
