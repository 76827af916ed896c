package uwsgi

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// prompt is a connection that can be asked for what it does at once. Most requests never
// need more: no wait, no deadline, no clock.
type prompt interface {
	// TryRead and TryWrite return 0 and no error where Read and Write would wait, and
	// know no deadlines. TryWritev is TryWrite of several pieces, one after the other.
	TryRead([]byte) (int, error)
	TryWrite([]byte) (int, error)
	TryWritev([][]byte) (int, error)
}

// source is what a connection's bufio.Reader reads from. It limits how long that takes,
// and remembers whether bytes may be waiting in the kernel.
type source struct {
	rwc   net.Conn
	watch *watcher

	mu      sync.Mutex
	prompt  prompt        // nil if rwc is none, and once somebody set a deadline
	perHead time.Duration // in which the head has to be complete; zero afterwards
	timed   bool          // the connection has a read deadline of ours
	perRead time.Duration // zero while reading the head, and once somebody set a deadline
	ended   bool          // the handler is done: a stray read must not extend the deadline

	// Owned by the reading goroutine.
	seen bool // the peer has said something
	more bool // the last read filled its buffer, so the kernel may hold another
}

func (s *source) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	now := s.prompt
	s.mu.Unlock()
	if now != nil {
		n, err = now.TryRead(p)
	}
	if n == 0 && err == nil {
		s.extend()
		n, err = s.rwc.Read(p)
	}
	s.more = n == len(p)
	s.seen = s.seen || n > 0
	return n, err
}

// extend sets the deadline for a read that is going to wait.
func (s *source) extend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.perRead
	if s.perHead > 0 {
		limit, s.perHead = s.perHead, 0 // one limit for all of the head
	}
	if limit > 0 && !s.ended {
		s.timed = true
		s.rwc.SetReadDeadline(time.Now().Add(limit))
	}
}

// beginBody ends the limit of the head, and starts that of the body.
func (s *source) beginBody(perRead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perHead, s.perRead = 0, perRead
	if s.timed {
		s.timed = false
		s.rwc.SetReadDeadline(time.Time{})
	}
}

// setDeadline is the handler's own deadline: it replaces the stall limit for good.
func (s *source) setDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perRead, s.prompt = 0, nil
	if s.ended {
		return nil // a goroutine the handler left behind: the server's own deadlines count now
	}
	if s.watch.watching() {
		return nil // nothing of the body is left to be read, so there is nothing to limit
	}
	return s.rwc.SetReadDeadline(t)
}

// end says that the handler is done.
func (s *source) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// interrupt ends a read in progress. It is final.
func (s *source) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.rwc.SetReadDeadline(past())
}

// body is the request body: exactly CONTENT_LENGTH bytes, and not one behind it.
type body struct {
	br    *bufio.Reader
	src   *source
	watch *watcher

	mu     sync.Mutex
	remain int64
	err    error // sticky
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.remain {
		p = p[:b.remain]
	}
	n, err := b.br.Read(p)
	b.remain -= int64(n)
	switch {
	case err != nil:
		b.err = b.broken(err)
	case b.remain == 0:
		b.err = io.EOF
	}
	if err == nil && b.remain <= int64(b.br.Buffered()) {
		b.watch.bodyDrained()
	}
	return n, b.err
}

// broken is what a body that ended early looks like. A peer that is only slow has not
// gone away: the handler may still answer it.
func (b *body) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	b.watch.ctx.end(errClientGone)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close makes later reads fail. What is unread is not the handler's to drain.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil || errors.Is(b.err, io.EOF) {
		b.err = http.ErrBodyReadAfterClose
	}
	return nil
}

// finish takes the reader back from the handler, and from any goroutine it left
// behind in Read, and returns how much of the body is still to come.
func (b *body) finish() (remain int64) {
	if !b.mu.TryLock() {
		b.src.interrupt()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	b.err = http.ErrBodyReadAfterClose
	return b.remain
}
