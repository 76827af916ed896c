package strict

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// early is how much of a head is handed over before it is complete: net/http starts its
	// timeout for heads when it has seen that much. A refusal makes these bytes the beginning
	// of a line that it refuses too.
	early = 4

	// farewell is how long a refused client may go on sending before the connection is closed
	// under it: bytes nobody read would reset it, and a reset can overtake the answer.
	farewell = 500 * time.Millisecond
	// maxFarewell is how much it may send.
	maxFarewell = 256 << 10
)

// A request line that nobody takes for one, whatever was handed over before it.
const noRequest = "\x00\r\n\r\n"

type block [4096]byte

// Conn is a connection whose reader gets whole heads, or an end.
//
// Most reads go straight into the reader's buffer and are judged there. What may not be
// handed over yet is held: a head that is not complete, and what came behind a request.
//
//	held:  handed over | may be handed over | not judged, or not complete
//	0               out                    ok                        len(held)
//
// The framer's next byte is held[start]. Start is before ok, and may be before out, while a
// head is not complete of which the first bytes were handed over.
type Conn struct {
	net.Conn
	shared *shared

	// Owned by the reader; there is never more than one.
	framer         framer
	block          *block // of shared.blocks; nil: nothing is held, or too much for one
	held           []byte
	out, ok, start int
	flood          int   // filler to be handed over: a head that is longer than any limit
	end            error // of everything, once what may be handed over is

	lingers atomic.Bool // Close, which anybody may call, waits for the client to see its answer
}

func newConn(inner net.Conn, s *shared) *Conn {
	return &Conn{Conn: inner, shared: s, framer: framer{opts: &s.opts, phase: between}}
}

// Read hands over at most one request, and nothing of it before its head was judged.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if n := c.handOver(p); n > 0 {
		return n, nil
	}
	if c.framer.phase == between {
		if len(p) == 1 && c.ok == c.start {
			return c.peek(p)
		}
		if c.framer.head.connect {
			return 0, io.EOF // a proxy in front may believe that this is a tunnel now
		}
		c.framer.begin()
	}
	if len(c.held) == 0 && c.end == nil {
		n, err := c.readThrough(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	return c.readHeld(p)
}

// peek serves net/http's look at the connection while a handler runs: one byte, to notice
// that the client has gone. It must not be judged, because the handler may yet hijack the
// connection, and because no refusal may come before its response.
func (c *Conn) peek(p []byte) (int, error) {
	if len(c.held) > 0 {
		c.ok++
		return c.handOver(p), nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.hold(p[:n])
		c.out, c.ok = n, n
	}
	return n, err
}

// readThrough reads into p. What may not be handed over yet is moved to held.
func (c *Conn) readThrough(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	ok := c.framer.scan(p[:n])
	if ok == n {
		return n, err
	}
	c.hold(p[ok:n])
	c.settle()
	if ok > 0 {
		return ok, nil
	}
	return c.handOver(p), nil
}

// readHeld reads behind what is held until something may be handed over.
func (c *Conn) readHeld(p []byte) (int, error) {
	for {
		c.start += c.framer.scan(c.held[c.start:])
		c.settle()
		if n := c.handOver(p); n > 0 {
			return n, nil
		}
		if c.end != nil {
			return 0, c.end
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// settle draws the conclusions from what the framer said.
func (c *Conn) settle() {
	c.ok = max(c.ok, c.start)
	switch c.framer.phase {
	case inHead:
		c.ok = max(c.ok, min(c.start+early, len(c.held)))
	case refused:
		if c.end == nil {
			c.refuse()
		}
	}
}

// refuse puts something in the place of a head that makes net/http give the answer, in its
// turn. In a body there is nothing to answer but the handler's error.
func (c *Conn) refuse() {
	r := c.framer.refusal
	c.held, c.end = c.held[:c.ok], io.EOF
	c.lingers.Store(true)
	switch {
	case c.framer.inMessage:
		c.end = r
	case r.Status == http.StatusRequestHeaderFieldsTooLarge:
		c.flood = c.shared.opts.MaxHead + 2*len(block{}) // net/http allows 4 KiB more than it says
	case r.Status == http.StatusHTTPVersionNotSupported:
		c.held = append(c.held[:c.start+c.framer.head.version.from], "HTTP/3.0\r\n\r\n"...)
	default:
		c.held = append(c.held, noRequest...)
	}
	c.ok, c.start = len(c.held), len(c.held)
	if c.shared.opts.OnRefuse != nil {
		c.shared.opts.OnRefuse(c.RemoteAddr(), r)
	}
}

// handOver gives what may be given, and lets go of the memory when nothing is held.
func (c *Conn) handOver(p []byte) int {
	n := copy(p, c.held[c.out:c.ok])
	c.out += n
	if n == 0 && c.flood > 0 {
		n = min(len(p), c.flood)
		c.flood -= n
		for i := range p[:n] {
			p[i] = 'a'
		}
	}
	if c.out == len(c.held) && c.start == c.out {
		c.letGo()
	}
	return n
}

func (c *Conn) letGo() {
	c.held, c.out, c.ok, c.start = nil, 0, 0, 0
	if c.block != nil {
		c.shared.blocks.Put(c.block)
		c.block = nil
	}
}

// hold begins to hold b.
func (c *Conn) hold(b []byte) {
	c.block, _ = c.shared.blocks.Get().(*block)
	if c.block == nil {
		c.block = new(block)
	}
	c.held = append(c.block[:0], b...)
}

// fill reads more behind what is held.
func (c *Conn) fill() error {
	if c.held == nil {
		c.hold(nil)
	}
	if done := min(c.out, c.start); done > 0 { // make room
		c.held = c.held[:copy(c.held, c.held[done:])]
		c.out, c.ok, c.start = c.out-done, c.ok-done, c.start-done
	}
	if free := cap(c.held) - len(c.held); free < len(block{})/8 {
		grown := make([]byte, len(c.held), 2*cap(c.held))
		copy(grown, c.held)
		c.held = grown
	}
	n, err := c.Conn.Read(c.held[len(c.held):cap(c.held)])
	c.held = c.held[:len(c.held)+n]
	if n > 0 {
		return nil
	}
	if err == io.EOF && c.framer.phase == inHead && len(c.held) > 0 {
		c.framer.refuse(bad("connection ends within a request head"))
		c.settle()
		return nil
	}
	return err
}

// Empty reports whether nothing of the next request was read. Only the reader may ask.
func (c *Conn) Empty() bool {
	return len(c.held) == 0 && c.end == nil && c.flood == 0 && (c.framer.phase == between || c.framer.phase == inHead)
}

// release lets everything through from now on, and first what is held.
func (c *Conn) release() {
	if c.end == nil {
		c.framer.phase = tunnel
		c.ok, c.start = len(c.held), len(c.held)
	}
}

// Close lets a client that was refused see why.
func (c *Conn) Close() error {
	if c.lingers.Swap(false) && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.CopyN(io.Discard, c.Conn, maxFarewell) // its end or the deadline
	}
	return c.Conn.Close()
}

// CloseWrite shuts down the writing side.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom keeps the way to sendfile open.
func (c *Conn) ReadFrom(src io.Reader) (int64, error) {
	if rf, ok := c.Conn.(io.ReaderFrom); ok {
		return rf.ReadFrom(src)
	}
	return io.Copy(c.Conn, src)
}

// SyscallConn gives access to the socket. Bytes that are held have left it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// NetConn gives the connection under this one.
func (c *Conn) NetConn() net.Conn { return c.Conn }
