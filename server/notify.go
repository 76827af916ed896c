package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// maxUnsent is how many datagrams wait for a socket that is full. A reload has fewer,
	// so the newest ones tell its end whatever was left out before them.
	maxUnsent = 64

	// notifyPatience is how long the socket may be full before the log says so.
	notifyPatience = 5 * time.Second
)

// errFull is what the log says of a socket that takes nothing.
var errFull = errors.New("the socket is full, its reader hangs or is busy")

// notifySocket takes datagrams to the socket that systemd reads, in their order. What is
// said is kept until systemd takes it, but nobody waits for that: sd_notify and the
// libraries that follow it hang while the socket is full.
type notifySocket struct {
	addr     string        // fixed: a path, or @name in the abstract namespace
	log      hclog.Logger  // fixed
	patience time.Duration // fixed

	unsent     chan datagram
	giveUp     context.CancelFunc // ends the sending
	sending    sync.WaitGroup
	complained sync.Once
}

func newNotifySocket(addr string, log hclog.Logger) *notifySocket {
	ctx, cancel := context.WithCancel(context.Background())
	n := &notifySocket{
		addr: addr, log: log, patience: notifyPatience,
		unsent: make(chan datagram, maxUnsent), giveUp: cancel,
	}
	n.sending.Go(func() {
		for d := range n.unsent {
			if d.reached != nil {
				close(d.reached)
				continue
			}
			n.send(ctx, d.text)
		}
	})
	return n
}

// datagram is one that waits, or the question whether all before it are gone.
type datagram struct {
	text    string
	reached chan<- struct{}
}

// flush gives what is closed when everything that was posted is sent, or cannot be.
func (n *notifySocket) flush() <-chan struct{} {
	reached := make(chan struct{})
	n.post(datagram{reached: reached})
	return reached
}

// post is called by one goroutine at a time, and not after close.
func (n *notifySocket) post(d datagram) {
	for {
		select {
		case n.unsent <- d:
			return
		default:
		}
		select {
		case <-n.unsent: // the oldest
		default:
		}
	}
}

// close gives what waits a moment to be taken.
func (n *notifySocket) close() {
	close(n.unsent)
	late := time.AfterFunc(lastAnswers, n.giveUp)
	defer late.Stop()
	n.sending.Wait()
	n.giveUp()
}

// send delivers a datagram, however long it takes, unless ctx ends. The log hears once
// that systemd does not: it would be the same line each time.
func (n *notifySocket) send(ctx context.Context, m string) {
	full := time.AfterFunc(n.patience, func() { n.complain(errFull) })
	defer full.Stop()
	if err := sendDatagram(ctx, n.addr, m); err != nil {
		n.complain(err)
	}
}

func (n *notifySocket) complain(err error) {
	n.complained.Do(func() { n.log.Warn("systemd is not told how it goes", "socket", n.addr, "error", err) })
}

// sendDatagram waits while the socket is full, until ctx ends.
func sendDatagram(ctx context.Context, addr, m string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: addr})
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = conn.Write([]byte(m))
	return err
}
