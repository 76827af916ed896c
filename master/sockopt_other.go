//go:build !linux

package master

import "net"

func peerPID(*net.UnixConn) int { return 0 }

// backlogLimit is not known here; the kernel cuts a backlog silently.
func backlogLimit() int { return 0 }
