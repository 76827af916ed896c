// Package forwarded believes the right proxies about who their client is.
//
//	client ──▶ proxy ──▶ PROXY header ──▶ Listener ──▶ RemoteAddr of the connection
//	                     X-Forwarded-* ─▶ Handler  ──▶ RemoteAddr, Host, Scheme of the request
//
// It promises: what a peer says that is not in Trust changes nothing; what a trusted one
// says is taken only as far as the chain of trusted proxies reaches, so that a client
// cannot put words in front of it; a PROXY header that is malformed, or does not come in
// time, ends its connection and is told to OnRefuse once; the bytes behind a header are
// the connection's, to the byte.
//
// It does not know which protocol the connection speaks. The X-Forwarded fields reach the
// handler as they came, believed or not. There is nothing for Forwarded (RFC 7239): no
// proxy sends it unless told to, and a second source of truth is a way around the first.
package forwarded

import (
	"net"
	"net/netip"
)

// Trust is who is believed; the zero Trust is nobody.
type Trust struct {
	Networks []netip.Prefix
	Unix     bool // everyone who may connect to a unix socket
}

// Anybody reports whether there is anybody to believe.
func (t Trust) Anybody() bool { return t.Unix || len(t.Networks) > 0 }

// Peer reports whether the other end of a connection is believed.
func (t Trust) Peer(a net.Addr) bool {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return t.address(tcp.AddrPort().Addr())
	}
	return t.Unix
}

// address compares without the zone: a prefix cannot have one, and fe80::/10 means all.
func (t Trust) address(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range t.Networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
