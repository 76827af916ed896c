package strict

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// The characters of RFC 9110 and RFC 3986, a bit for each of 0-63 and of 64-127.
const (
	digits = uint64(1<<10-1) << '0'
	upper  = uint64(1<<26-1) << ('A' - 64)
	lower  = uint64(1<<26-1) << ('a' - 64)

	tokenLow  = digits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	tokenHigh = upper | lower | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)

	// A comma is legal in a host name. It is left out: it is what two Host lines look like
	// once somebody joined them.
	hostLow  = digits | 1<<'!' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' | 1<<';' | 1<<'='
	hostHigh = upper | lower | 1<<('_'-64) | 1<<('~'-64)
)

func in(c byte, low, high uint64) bool {
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < 128 && high>>(c-64)&1 != 0
}

func all(b []byte, low, high uint64) bool {
	for _, c := range b {
		if !in(c, low, high) {
			return false
		}
	}
	return len(b) > 0
}

func isToken(b []byte) bool { return all(b, tokenLow, tokenHigh) }

func isDigits(b []byte) bool { return all(b, digits, 0) }

// isText reports whether b has no control character but tab. Eight bytes at a time: most of
// what a request costs here is this.
func isText(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*ones
		// A top bit is set where a byte is below 0x20, or is 0x7f. A borrow may set one too
		// many, never one too few; the slow look decides.
		if ((x-0x20*ones)&^x|(del-ones)&^del)&tops != 0 && !isTextSlow(b[:8]) {
			return false
		}
	}
	return isTextSlow(b)
}

func isTextSlow(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trim removes the white space that may stand around a value.
func trim(b []byte) []byte { return bytes.Trim(b, " \t") }

// isHost accepts a name or an address with or without a port, and not nothing.
func isHost(b []byte) bool {
	name, port, hasPort := b, []byte(nil), false
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && bytes.IndexByte(b[i:], ']') < 0 {
		name, port, hasPort = b[:i], b[i+1:], true
	}
	if hasPort && len(port) > 0 && !isDigits(port) {
		return false
	}
	if len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']' {
		ip, err := netip.ParseAddr(string(name[1 : len(name)-1]))
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	return all(name, hostLow, hostHigh)
}

// hasGoodEscapes reports whether each percent sign begins an escape.
func hasGoodEscapes(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '%')
		if i < 0 {
			return true
		}
		if len(b) < i+3 || hexValue(b[i+1]) < 0 || hexValue(b[i+2]) < 0 {
			return false
		}
		b = b[i+3:]
	}
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isName compares a field name with one in lower case.
func isName(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
