package stats

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// QueueLength counts the connections that wait in the kernel for an accept on a TCP or unix
// listener. It is 0 for a descriptor that is none, and where the kernel does not tell.
func QueueLength(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return unixQueue(fd)
	}
	if info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked) // of a listener this field is the accept queue's length
}

// QueueOverflows counts what the kernel has turned away from a TCP listener since it was
// bound, mostly because its queue was full. A client tries again after a second, two, four,
// and each time counts. It is 0 for a unix socket: the kernel has no number for those.
func QueueOverflows(fd int) uint64 {
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain == unix.AF_UNIX {
		return 0
	}
	// SO_MEMINFO is nine words of 32 bits, and there is no function for it that needs no
	// unsafe. This one fills its struct with whatever the option has: word 8, the drops, is
	// where Lost is.
	words, err := unix.GetsockoptTCPInfo(fd, unix.SOL_SOCKET, unix.SO_MEMINFO)
	if err != nil {
		return 0
	}
	return uint64(words.Lost)
}

// Of linux/unix_diag.h; numbers that are longer than a byte are in the machine's order.
const (
	diagRequestSize = unix.NLMSG_HDRLEN + 24
	diagMessageSize = 16 // family, type, state and a pad u8, inode u32, cookie u32 x2

	showQueue      = 0x10 // UDIAG_SHOW_RQLEN
	attributeQueue = 4    // UNIX_DIAG_RQLEN: waiting u32, limit u32
)

// unixQueue asks for one socket by its inode, which needs no privilege.
func unixQueue(fd int) int {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return 0
	}
	nl, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0
	}
	defer unix.Close(nl)
	if unix.Sendto(nl, diagRequest(uint32(st.Ino)), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return 0
	}
	// The kernel has answered before the send returned.
	answer := make([]byte, 512)
	n, _, err := unix.Recvfrom(nl, answer, unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	return parseDiag(answer[:n])
}

// diagRequest is a netlink header (length u32, type u16, flags u16, sequence u32, port u32)
// and family u8, protocol u8, pad u16, states u32, inode u32, show u32, cookie u32 x2.
func diagRequest(inode uint32) []byte {
	order := binary.NativeEndian
	b := make([]byte, 0, diagRequestSize)
	b = order.AppendUint32(b, diagRequestSize)
	b = order.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...)
	b = append(b, unix.AF_UNIX, 0, 0, 0)
	b = order.AppendUint32(b, 1<<unix.BPF_TCP_LISTEN)
	b = order.AppendUint32(b, inode)
	b = order.AppendUint32(b, showQueue)
	return order.AppendUint64(b, ^uint64(0)) // any cookie
}

// parseDiag finds the length of the queue in an answer; 0 in everything else.
func parseDiag(b []byte) int {
	order := binary.NativeEndian
	if len(b) < unix.NLMSG_HDRLEN+diagMessageSize || order.Uint16(b[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return 0 // NLMSG_ERROR, mostly: no such socket, or a kernel without unix_diag
	}
	b = b[unix.NLMSG_HDRLEN:]
	if b[2] != unix.BPF_TCP_LISTEN { // the state of a listening unix socket is TCP's
		return 0
	}
	for b = b[diagMessageSize:]; len(b) >= unix.SizeofNlAttr; {
		size, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if size < unix.SizeofNlAttr || size > len(b) {
			return 0
		}
		if kind == attributeQueue && size >= unix.SizeofNlAttr+8 {
			return int(order.Uint32(b[unix.SizeofNlAttr:]))
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return 0
}
