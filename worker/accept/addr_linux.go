package accept

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// tcpAddr words a peer as package net does.
func tcpAddr(sa syscall.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
	case *syscall.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(zone(int(sa.ZoneId)))
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(sa.Port)))
	}
	return &net.TCPAddr{}
}

func zone(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
