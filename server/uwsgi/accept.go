package uwsgi

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// accept outlives a shortage: with no descriptor or no memory left, connections in
// progress will end and give some back, and a server that exited could serve nobody.
func (s *Server) accept(l net.Listener) (net.Conn, error) {
	for pause := acceptPauseMin; ; pause = min(2*pause, acceptPauseMax) {
		rwc, err := l.Accept()
		switch {
		case err == nil:
			return rwc, nil
		case errors.Is(err, net.ErrClosed) || s.isClosing():
			return nil, ErrServerClosed
		case !isShortage(err):
			return nil, err
		}
		s.log("accept failed, will be tried again", "error", err, "after", pause)
		if !s.pause(pause) {
			return nil, ErrServerClosed
		}
	}
}

// isShortage lists the errors of accept(2) that say nothing about the listener.
func isShortage(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EINTR, syscall.EAGAIN,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// pause reports false if the server was closed meanwhile.
func (s *Server) pause(d time.Duration) bool {
	s.mu.Lock()
	done := s.doneLocked()
	s.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
