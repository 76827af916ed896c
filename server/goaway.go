package server

import (
	"net"
	"sync"
	"sync/atomic"
)

// goAwayFrame says that every stream that was begun, or will be until the client
// has read this, is served, and that no further ones should come (RFC 9113, 6.8).
const goAwayFrame = "\x00\x00\x08" + "\x07" + "\x00" + "\x00\x00\x00\x00" + // length, type, flags, stream
	"\x7f\xff\xff\xff" + "\x00\x00\x00\x00" // last stream, no error

// goAwayConn is the server's end of an HTTP/2 connection. It can put a frame of
// its own between those that net/http writes.
type goAwayConn struct {
	net.Conn
	due atomic.Bool // the frame is to be sent

	writing sync.Mutex
	frames  frames // guarded by writing
}

func (c *goAwayConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	n, err := c.Conn.Write(b)
	c.frames.advance(b[:n])
	c.writing.Unlock()
	c.sendDue()
	return n, err
}

// goAway sends the frame as soon as the one that is being written is complete.
func (c *goAwayConn) goAway() {
	c.due.Store(true)
	c.sendDue()
}

// sendDue leaves the frame to the next write if one is under way: whoever holds
// the lock comes here again after it, and so does whoever ends the frame.
func (c *goAwayConn) sendDue() {
	if !c.due.Load() || !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if c.frames.between() && c.due.Swap(false) {
		_, _ = c.Conn.Write([]byte(goAwayFrame)) // net/http will meet the same error
	}
}

// NetConn gives the connection under this one.
func (c *goAwayConn) NetConn() net.Conn { return c.Conn }

// frames follows a stream of HTTP/2 frames.
type frames struct {
	head [9]byte // of the frame at hand: length u24, type u8, flags u8, stream u32
	have int     // bytes of the head
	left int     // bytes of the payload that are to come; the head is complete
	any  bool    // there was a whole frame
}

func (f *frames) advance(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left, b = f.left-n, b[n:]
		} else {
			n := copy(f.head[f.have:], b)
			f.have, b = f.have+n, b[n:]
			if f.have < len(f.head) {
				return
			}
			f.have = 0
			f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		}
		f.any = f.any || f.left == 0
	}
}

// between reports whether a frame may begin here. The first must be net/http's:
// the settings.
func (f *frames) between() bool { return f.any && f.have == 0 && f.left == 0 }
