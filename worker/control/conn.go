package control

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
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

	recv    *bufio.Reader // owned by the caller of Recv
	skipped atomic.Uint64
}

// NewConn speaks the contract over any stream, such as one end of net.Pipe.
func NewConn(c net.Conn) *Conn {
	return &Conn{conn: c, recv: bufio.NewReader(c)}
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
// the peer closed or died between two frames; any error ends the conversation.
func (c *Conn) Recv() (Message, error) {
	for {
		k, body, err := readFrame(c.recv)
		if err == io.EOF {
			return nil, io.EOF
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

// readFrame returns io.EOF only at the boundary of two frames.
func readFrame(r *bufio.Reader) (kind, []byte, error) {
	var head [headSize]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		// A peer that dies with frames of ours unread leaves a reset where others
		// leave an EOF. What it had sent is delivered before either.
		if n == 0 && errors.Is(err, syscall.ECONNRESET) {
			err = io.EOF
		}
		return 0, nil, err // io.EOF: no byte came; io.ErrUnexpectedEOF: some did
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size == 0 {
		return 0, nil, errors.New("a frame without a kind")
	}
	if size > 1+MaxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes, the limit is %d", size-1, MaxFrame)
	}
	body := make([]byte, size-1)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the head promised more
		}
		return 0, nil, err
	}
	return kind(head[4]), body, nil
}

// Skipped counts the frames of kinds this build does not know.
func (c *Conn) Skipped() uint64 { return c.skipped.Load() }

// Close ends the conversation; a blocked Recv or Send returns net.ErrClosed.
func (c *Conn) Close() error { return c.conn.Close() }
