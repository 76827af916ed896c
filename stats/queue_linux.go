package stats

import "golang.org/x/sys/unix"

// QueueLength counts the connections that wait in the kernel for an accept on a TCP
// listener. It is 0 for a unix socket, as uWSGI's is, and for a descriptor that is no
// listener.
func QueueLength(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked) // of a listener this field is the accept queue's length
}
