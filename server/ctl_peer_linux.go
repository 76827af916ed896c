package server

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peerUID is the user at the other end of a unix socket (unix(7), SO_PEERCRED).
func peerUID(conn net.Conn) (int, error) {
	var cred *unix.Ucred
	err := onDescriptor(conn, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("ask who is connected: %w", err)
	}
	return int(cred.Uid), nil
}
