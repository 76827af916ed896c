//go:build !unix

package uwsgi

import "net"

// waitGone is not possible without peeking; a gone peer shows at the next write.
func waitGone(net.Conn) bool { return false }

// resetOnClose relies on the method of *net.TCPConn.
func resetOnClose(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
}
