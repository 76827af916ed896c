//go:build darwin || freebsd

package server

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// solLocal is SOL_LOCAL, which x/sys names on darwin only.
const solLocal = 0

// peerUID is the user at the other end of a unix socket (unix(4),
// LOCAL_PEERCRED).
func peerUID(conn net.Conn) (int, error) {
	var cred *unix.Xucred
	err := onDescriptor(conn, func(fd int) (err error) {
		cred, err = unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("ask who is connected: %w", err)
	}
	return int(cred.Uid), nil
}
