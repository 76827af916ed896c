package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sendTimeout bounds a Send. The socket's buffer takes every frame of a healthy peer at
// once; only a stopped process lets it fill.
const sendTimeout = 5 * time.Second

// headSize is the length of a frame, u32 big-endian, and its kind.
const headSize = 4 + 1

// Conn carries messages in both directions. Send and Close may be called from any
// goroutine, Recv from one at a time.
type Conn struct {
	conn net.Conn

	sending sync.Mutex
	sendErr error // guarded by sending; see Send

	rest    []byte // received and not used yet; owned by the caller of Recv
	skipped atomic.Uint64
}

// NewConn speaks the contract over any stream, such as one end of net.Pipe.
func NewConn(c net.Conn) *Conn {
	return &Conn{conn: c}
}

// Send writes one message. After an error that may have left half a frame in the stream
// every later Send returns that error: the peer could only misread what follows. Recv
// goes on, because what a dying worker has already said is worth hearing.
func (c *Conn) Send(m Message) error {
	body, err := encode(m)
	if err != nil {
		return err
	}
	frame := make([]byte, headSize, headSize+len(body))
	binary.BigEndian.PutUint32(frame, uint32(1+len(body)))
	frame[4] = byte(m.kind())
	frame = append(frame, body...)

	c.sending.Lock()
	defer c.sending.Unlock()
	if c.sendErr == nil {
		c.sendErr = c.write(frame)
	}
	if c.sendErr != nil {
		return fmt.Errorf("send %T: %w", m, c.sendErr)
	}
	return nil
}

func (c *Conn) write(frame []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(frame)
	return err
}

// Recv waits for the next message of a known kind. It returns io.EOF, unwrapped, when
// the peer closed or died between two frames, and ErrInterrupted after Interrupt; any other
// error ends the conversation.
func (c *Conn) Recv() (Message, error) {
	for {
		k, body, err := c.frame()
		if err == io.EOF || err == ErrInterrupted {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("receive from the control socket: %w", err)
		}
		m, known, err := decode(k, body)
		if err != nil {
			return nil, fmt.Errorf("receive from the control socket: %w", err)
		}
		if known {
			return m, nil
		}
		c.skipped.Add(1)
	}
}

// frame takes the next frame. It returns io.EOF only at the boundary of two frames, and
// keeps what it has of one for the next call.
func (c *Conn) frame() (kind, []byte, error) {
	if err := c.fill(headSize); err != nil {
		// A peer that dies with frames of ours unread leaves a reset where others
		// leave an EOF. What it had sent is delivered before either.
		if len(c.rest) == 0 && (err == io.EOF || errors.Is(err, syscall.ECONNRESET)) {
			return 0, nil, io.EOF
		}
		return 0, nil, midFrame(err)
	}
	size := binary.BigEndian.Uint32(c.rest)
	if size == 0 {
		return 0, nil, errors.New("a frame without a kind")
	}
	if size > 1+MaxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes, the limit is %d", size-1, MaxFrame)
	}
	end := headSize - 1 + int(size)
	if err := c.fill(end); err != nil {
		return 0, nil, midFrame(err)
	}
	k, body := kind(c.rest[headSize-1]), bytes.Clone(c.rest[headSize:end])
	c.rest = append(c.rest[:0], c.rest[end:]...)
	if len(c.rest) == 0 && cap(c.rest) > keptBuffer {
		c.rest = nil
	}
	return k, body, nil
}

// midFrame names the end of a stream that promised more.
func midFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// keptBuffer is what an idle connection may keep; almost every frame fits.
const keptBuffer = 4 << 10

// fill reads until n bytes are there.
func (c *Conn) fill(n int) error {
	if n > cap(c.rest) {
		c.rest = append(make([]byte, 0, max(n, keptBuffer)), c.rest...)
	}
	for len(c.rest) < n {
		got, err := c.conn.Read(c.rest[len(c.rest):cap(c.rest)])
		c.rest = c.rest[:len(c.rest)+got]
		switch {
		case len(c.rest) >= n:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ErrInterrupted
		case err != nil:
			return err
		}
	}
	return nil
}

// ErrInterrupted is what Recv returns after Interrupt. Nothing is lost by it.
var ErrInterrupted = errors.New("receiving was interrupted")

// Interrupt ends a Recv that waits, and lets the following ones take what has come already
// only, until Resume.
func (c *Conn) Interrupt() error { return c.conn.SetReadDeadline(time.Unix(1, 0)) }

// Resume undoes Interrupt.
func (c *Conn) Resume() error { return c.conn.SetReadDeadline(time.Time{}) }

// Rest is what was received and not used yet. It is for when nobody calls Recv, to be
// handed with the descriptor to Adopt.
func (c *Conn) Rest() []byte { return bytes.Clone(c.rest) }

// Skipped counts the frames of kinds this build does not know.
func (c *Conn) Skipped() uint64 { return c.skipped.Load() }

// Close ends the conversation; a blocked Recv or Send returns net.ErrClosed.
func (c *Conn) Close() error { return c.conn.Close() }
