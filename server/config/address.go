package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
)

// Address is where to listen or connect, in the form that package net takes. The text
// forms are "host:port", ":port", "[::1]:port", a path, and "@name" for Linux's abstract
// sockets; once a path is absolute the text says which of them it is.
type Address struct {
	Network string // "tcp" or "unix"; "" in the zero Address
	Addr    string // host:port, a path, or "@name"
}

// ParseAddress reads the text form. A path may still be relative.
func ParseAddress(s string) (Address, error) {
	switch {
	case s == "":
		return Address{}, errors.New("the address is empty")
	case strings.Contains(s, "\x00"):
		return Address{}, errors.New("the address contains a NUL byte")
	case strings.Contains(s, "://"):
		return Address{}, fmt.Errorf("%q is a URL, want host:port, a path or @name", s)
	case s == "@":
		return Address{}, errors.New("\"@\" has no name behind it")
	case s[0] == '@':
		return Address{"unix", s}, nil
	case isPath(s):
		return Address{"unix", s}, nil
	case !strings.Contains(s, ":") && isDigits(s):
		return Address{}, fmt.Errorf("%q is only a port, want %q for this machine or %q for all interfaces", s, "127.0.0.1:"+s, ":"+s)
	case !strings.Contains(s, ":"):
		return Address{"unix", s}, nil
	}
	return parseTCP(s)
}

// isPath demands that a path with a colon begins with "/" or ".": "10.0.0.1:80/" and
// "unix:/run/x.sock" are mistakes and not relative paths.
func isPath(s string) bool {
	return s[0] == '/' || s[0] == '.' || strings.Contains(s, "/") && !strings.Contains(s, ":")
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

func parseTCP(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return Address{}, fmt.Errorf("%q: write the path alone, %q", s, path)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, fmt.Errorf("%q is neither host:port (IPv6: \"[::1]:80\") nor a path (with a colon in it: \"./a:b\")", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || !isDigits(port) {
		return Address{}, fmt.Errorf("%q: port %q is not a number from 0 to 65535", s, port)
	}
	if host == "*" {
		return Address{}, fmt.Errorf("%q: all interfaces is written \":%d\"", s, n)
	}
	if !isHost(host) {
		return Address{}, fmt.Errorf("%q: %q is neither an IP address nor a host name", s, host)
	}
	return Address{"tcp", net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}

// isHost accepts what could be a name; whether it resolves is found out at start.
func isHost(h string) bool {
	if _, err := netip.ParseAddr(h); err == nil || h == "" {
		return true
	}
	// All digits and dots and yet no address: 127.0.0.256, 10.0.1.
	if strings.Trim(h, "0123456789.") == "" || strings.HasPrefix(h, "-") {
		return false
	}
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'
	}
	return len(h) < 254 && strings.IndexFunc(h, func(r rune) bool { return !ok(r) }) < 0
}

func (a Address) String() string { return a.Addr }

func (a Address) IsZero() bool { return a == Address{} }

// IsUnixPath reports a socket that is a file: it has a mode and can be left behind.
func (a Address) IsUnixPath() bool { return a.Network == "unix" && a.Addr[0] != '@' }

// IsAbstract reports a Linux abstract socket, which anyone on the machine may connect to.
func (a Address) IsAbstract() bool { return a.Network == "unix" && a.Addr[0] == '@' }

// IsLoopback reports whether only this machine can connect. A name other than localhost
// counts as reachable from outside: what it resolves to may change.
func (a Address) IsLoopback() bool {
	if a.Network != "tcp" {
		return true
	}
	host, _ := a.hostPort()
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (a Address) MarshalText() ([]byte, error) { return []byte(a.Addr), nil }

func (a *Address) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*a = Address{}
		return nil
	}
	*a, err = ParseAddress(string(text))
	return err
}

// hostPort gives the parts of a TCP address for comparisons, localhost as an IP address.
func (a Address) hostPort() (host, port string) {
	host, port, _ = net.SplitHostPort(a.Addr)
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	return host, port
}

// overlaps reports whether the kernel would refuse to bind b beside a.
func (a Address) overlaps(b Address) bool {
	if a.Network != "tcp" || b.Network != "tcp" {
		return a == b
	}
	ah, ap := a.hostPort()
	bh, bp := b.hostPort()
	if ap != bp || ap == "0" {
		return false
	}
	return ah == bh || isWildcard(ah) || isWildcard(bh) || sameIP(ah, bh)
}

// isWildcard: package net listens on both families for any of these.
func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func sameIP(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x.Unmap() == y.Unmap()
}

// kernel reports what the operating system can never bind. A path needs room for its
// final NUL; an abstract name has none, its "@" stands for the NUL in front.
func (a Address) kernel() error {
	room := 104
	if runtime.GOOS == "linux" {
		room = 108
	}
	switch {
	case a.IsAbstract() && runtime.GOOS != "linux":
		return errors.New("abstract sockets exist on Linux only")
	case a.IsAbstract() && len(a.Addr) > room:
		return fmt.Errorf("the name is %d bytes long, the kernel takes %d", len(a.Addr), room)
	case a.IsUnixPath() && len(a.Addr) >= room:
		return fmt.Errorf("the path %s is %d bytes long, the kernel takes %d", a.Addr, len(a.Addr), room-1)
	}
	return nil
}
