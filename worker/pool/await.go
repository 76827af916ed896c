package pool

import (
	"io"
	"syscall"
	"time"
)

// goodbye is how long a connection that is closed while idle may take to notice: closing
// it with unread bytes in its buffer would reset it, and a reset can overtake an answer.
const goodbye = time.Second

// AwaitRead returns when the next Read would have something to give, and gives no error
// then. The others are those of a Read: io.EOF, the deadline, the end of a drain's patience.
//
// It is for a server that keeps a connection without its buffers: whoever waits here needs
// a small stack and nothing else. There must be no Read at the same time.
func (c *conn) AwaitRead() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	for {
		err := awaitRead(raw)
		again, leave := c.goOn(err)
		if leave {
			return c.leave(raw)
		}
		if !again {
			return err
		}
	}
}

// awaitRead gives io.EOF if that is what would be read.
func awaitRead(raw syscall.RawConn) error {
	n, err := 0, error(nil)
	if waitErr := raw.Read(func(fd uintptr) bool {
		n, err = peek(fd)
		return err != syscall.EAGAIN
	}); waitErr != nil {
		return waitErr
	}
	if n == 0 && err == nil {
		return io.EOF
	}
	return err
}

// peek looks for a byte, without waiting and without taking it.
func peek(fd uintptr) (int, error) {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// leave ends the wait of an idle connection, unless something came in the moment of the
// expiry.
func (c *conn) leave(raw syscall.RawConn) error {
	n := 0
	c.lookNow(raw, func(fd uintptr) { n, _ = peek(fd) })
	if n > 0 {
		c.expired.Store(false)
		c.rearm()
		return nil
	}
	return c.sayGoodbye(make([]byte, 512))
}

// lastLook is the same for a Read: it returns what arrived.
func (c *conn) lastLook(b []byte) (int, error) {
	n := 0
	if raw, err := c.SyscallConn(); err == nil {
		c.lookNow(raw, func(fd uintptr) { n, _ = syscall.Read(int(fd), b) }) // EAGAIN, or an end that the close will show as well
	}
	if n > 0 {
		c.expired.Store(false)
		c.rearm()
		return n, nil
	}
	return 0, c.sayGoodbye(b)
}

// lookNow gives look the descriptor, if there still is one.
func (c *conn) lookNow(raw syscall.RawConn, look func(fd uintptr)) {
	// RawConn.Read refuses to begin after a deadline.
	if err := c.arm(never, true); err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		look(fd)
		return true
	})
}

// sayGoodbye tells the client that no answer will come any more, and gives it time to see
// that. The error is an ordinary end, for which no server logs anything.
func (c *conn) sayGoodbye(b []byte) error {
	if err := c.closeWrite(); err != nil {
		return io.EOF // nothing to wait for: the close itself is all the client will see
	}
	_ = c.arm(c.pool.instant(time.Now().Add(goodbye)), true)
	for {
		if _, err := c.Conn.Read(b); err != nil {
			return io.EOF
		}
	}
}

// closeWrite is CloseWrite after what is being written.
func (c *conn) closeWrite() error {
	if c.shared.Load() {
		c.writing.Lock()
		defer c.writing.Unlock()
	}
	return c.CloseWrite()
}
