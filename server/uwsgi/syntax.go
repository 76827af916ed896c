package uwsgi

import "strings"

// The grammar checks of golang.org/x/net/http/httpguts that net/http applies, written
// out because this package stands on the standard library alone.

// Sets of ASCII characters as two words of bits, from 0 and from 64 on. They are
// constants: a table would be a variable.
const (
	digits  = 0x3ff << '0'
	letters = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)

	tokenLow  = digits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	tokenHigh = letters | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)

	hostLow = digits | 1<<'!' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' | 1<<',' | 1<<'-' |
		1<<'.' | 1<<':' | 1<<';' | 1<<'=' | 1<<'\''
	hostHigh = letters | 1<<('['-64) | 1<<(']'-64) | 1<<('_'-64) | 1<<('~'-64)
)

// in relies on a shift by more than there are bits being zero: each half drops the
// characters of the other, and both drop what is no ASCII.
func in(low, high uint64, c byte) bool { return (low>>c|high>>(c-64))&1 != 0 }

// validName is the token of RFC 9110 5.6.2: header names and methods.
func validName(s string) bool {
	for i := range len(s) {
		if !in(tokenLow, tokenHigh, s[i]) {
			return false
		}
	}
	return s != ""
}

// validHost is as loose as net/http: the characters of a host and port, no structure.
func validHost(s string) bool {
	for i := range len(s) {
		if !in(hostLow, hostHigh, s[i]) {
			return false
		}
	}
	return true
}

// validValue refuses control characters except tab. Bytes above 127 are opaque.
func validValue(s string) bool {
	for i := firstControl(s); i < len(s); i++ {
		if isControl(s[i]) && s[i] != '\t' {
			return false
		}
	}
	return true
}

func hasControl(s string) bool { return firstControl(s) < len(s) }

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

// firstControl returns where the first control character is, len(s) if there is none.
// It takes eight bytes at a time: values are most of a request.
func firstControl(s string) int {
	rest := s
	for len(rest) >= 8 && !controlAmong(rest) {
		rest = rest[8:]
	}
	for rest != "" && !isControl(rest[0]) {
		rest = rest[1:]
	}
	return len(s) - len(rest)
}

// controlAmong reports whether one of the first eight bytes is a control character. Taking 32 from
// a byte below 32 borrows, which sets its top bit; so does taking 1 from the zero that
// 0x7f becomes. A borrow that reaches the next byte only follows a true one.
func controlAmong(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	del := x ^ ones*0x7f
	return ((x-ones*' ')&^x|(del-ones)&^del)&tops != 0
}

func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// hasToken looks for a word in a comma separated list, token in lower case.
func hasToken(list, token string) bool {
	for len(list) >= len(token) {
		word, rest, _ := strings.Cut(list, ",")
		if strings.EqualFold(trimSpace(word), token) {
			return true
		}
		list = rest
	}
	return false
}
