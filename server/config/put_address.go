package config

import (
	"fmt"
	"net/netip"
)

// address gives the value as an absolute address that the kernel could bind, and notes it
// as a listener.
func (in input) address(what string) (Address, bool) {
	v, ok := in.text()
	if !ok {
		return Address{}, false
	}
	a, err := ParseAddress(v)
	if err == nil && a.IsUnixPath() {
		if why := notExpanded(a.Addr); why != "" {
			in.errorf("%s", why)
			return Address{}, false
		}
		a.Addr = absolute(in.p.base, a.Addr)
	}
	if err == nil {
		err = a.kernel()
	}
	if err != nil {
		in.errorf("%v", err)
		return Address{}, false
	}
	in.p.listeners = append(in.p.listeners, listener{path: in.path, what: what, addr: a})
	if a.IsUnixPath() {
		in.p.files = append(in.p.files, file{path: in.path, name: a.Addr, kind: socketFile})
	}
	return a, true
}

// sockets only notes its listeners; parser.order makes the Config's list of them.
func sockets(proto string) put {
	return func(in input) { in.each(func(in input) { in.address(proto) }) }
}

func statsAddress(dst *Address) put {
	return func(in input) { *dst, _ = in.address("stats") }
}

func controlAddress(dst *Address) put {
	return func(in input) {
		a, ok := in.address("control")
		if ok && !a.IsUnixPath() {
			in.errorf("%s is not a path: control is a unix socket that only its owner may use", a)
			return
		}
		*dst = a
	}
}

func prefixes(dst *[]netip.Prefix) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			in.prefix(dst)
		})
	}
}

func (in input) prefix(dst *[]netip.Prefix) {
	v, ok := in.text()
	if !ok {
		return
	}
	p, err := parsePrefix(v)
	if err != nil {
		in.errorf("%v", err)
		return
	}
	*dst = append(*dst, p)
}

// peers are networks, and "unix" for a peer without an address.
func peers(dst *Peers) put {
	return func(in input) {
		*dst = Peers{}
		in.each(func(in input) {
			if in.val == "unix" {
				dst.Unix = true
				return
			}
			in.prefix(&dst.Networks)
		})
	}
}

func parsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" && !ip.Is4In6() {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is neither an IP address nor a network such as \"10.0.0.0/8\"", s)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has address bits beyond /%d, want %q", s, p.Bits(), p.Masked())
	}
	return p, nil
}
