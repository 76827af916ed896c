package forwarded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The two forms of a PROXY header (haproxy.org/download/2.9/doc/proxy-protocol.txt).
const (
	textMark = "PROXY " // then "TCP4 <source> <destination> <port> <port>", "TCP6 ..." or "UNKNOWN ...", and textEnd
	textEnd  = "\r\n"
	textMax  = 107 // with both

	binaryMark = "\r\n\r\n\x00\r\nQUIT\n" // then command u8, family u8, length u16 of what follows
	binaryHead = len(binaryMark) + 4
	binaryMax  = binaryHead + 4<<10 // the addresses take 216 at most, the rest are extensions

	commandLocal = byte(0x20) // the proxy speaks for itself (a health check)
	commandProxy = byte(0x21) // for a client

	unspecified = byte(0x00) // what follows is of no use
	inet4       = byte(0x11) // source ip 4, destination ip 4, ports u16 u16, extensions
	inet6       = byte(0x21) // source ip 16, destination ip 16, ports u16 u16, extensions
	unixStream  = byte(0x31) // source path 108, destination path 108, extensions
)

// errShort asks for more bytes; errNone says that there is no PROXY header. Their only
// reader is conn.
var (
	errShort = errors.New("the PROXY header is incomplete")
	errNone  = errors.New("no PROXY header")
)

// parse reads the PROXY header at the beginning of b and gives its length. The source is
// the zero AddrPort if the header names none: then the connection's own address holds.
func parse(b []byte) (source netip.AddrPort, n int, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(textMark)):
		return parseText(b)
	case bytes.HasPrefix(b, []byte(binaryMark)):
		return parseBinary(b)
	case strings.HasPrefix(textMark, string(b)) || strings.HasPrefix(binaryMark, string(b)):
		return source, 0, errShort
	}
	return source, 0, errNone
}

func parseText(b []byte) (source netip.AddrPort, n int, err error) {
	end := bytes.Index(b[:min(len(b), textMax)], []byte(textEnd))
	if end < 0 {
		if len(b) < textMax {
			return source, 0, errShort
		}
		return source, 0, fmt.Errorf("PROXY header without an end: %.32q", b)
	}
	line := string(b[:end])
	n = end + len(textEnd)
	if line == "PROXY UNKNOWN" || strings.HasPrefix(line, "PROXY UNKNOWN ") {
		return source, n, nil
	}
	f := strings.Split(line, " ")
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return source, 0, fmt.Errorf("malformed PROXY header: %q", line)
	}
	source, ok := endpoint(f[2], f[4], f[1] == "TCP4")
	if _, other := endpoint(f[3], f[5], f[1] == "TCP4"); !ok || !other {
		return netip.AddrPort{}, 0, fmt.Errorf("PROXY header with a malformed address: %q", line)
	}
	return source, n, nil
}

func endpoint(ip, port string, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}

func parseBinary(b []byte) (source netip.AddrPort, n int, err error) {
	if len(b) < binaryHead {
		return source, 0, errShort
	}
	command, family := b[len(binaryMark)], b[len(binaryMark)+1]
	n = binaryHead + int(binary.BigEndian.Uint16(b[len(binaryMark)+2:]))
	switch {
	case command != commandLocal && command != commandProxy:
		return source, 0, fmt.Errorf("PROXY header with version and command 0x%02x", command)
	case n > binaryMax:
		return source, 0, fmt.Errorf("PROXY header of %d bytes, the limit is %d", n, binaryMax)
	case len(b) < n:
		return source, 0, errShort
	case command == commandLocal:
		return source, n, nil
	}
	source, err = binarySource(family, b[binaryHead:n])
	if err != nil {
		return source, 0, err
	}
	return source, n, nil
}

// binarySource knows the families of connections. Those without an IP address (unix
// sockets, unspecified) leave the connection its own.
func binarySource(family byte, body []byte) (source netip.AddrPort, err error) {
	length := 4
	switch family {
	case inet4:
	case inet6:
		length = 16
	case unixStream, unspecified:
		return source, nil
	default:
		return source, fmt.Errorf("PROXY header for family and transport 0x%02x, which is no connection", family)
	}
	if len(body) < 2*length+4 {
		return source, fmt.Errorf("PROXY header with %d bytes of addresses, want %d", len(body), 2*length+4)
	}
	ip, _ := netip.AddrFromSlice(body[:length])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(body[2*length:])), nil
}
