package uwsgi

import "strings"

// The grammar checks of golang.org/x/net/http/httpguts that net/http applies, written
// out because this package stands on the standard library alone.

// validName is the token of RFC 9110 5.6.2: header names and methods.
func validName(s string) bool {
	for i := range len(s) {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

func isToken(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validValue refuses control characters except tab. Bytes above 127 are opaque.
func validValue(s string) bool {
	for i := range len(s) {
		if isControl(s[i]) && s[i] != '\t' {
			return false
		}
	}
	return true
}

func hasControl(s string) bool {
	for i := range len(s) {
		if isControl(s[i]) {
			return true
		}
	}
	return false
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

// validHost is as loose as net/http: the characters of a host and port, no structure.
func validHost(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!$%&()*+,-.:;=[']_~", s[i]) < 0 {
			return false
		}
	}
	return true
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }

// hasToken looks for a word in a comma separated list, token in lower case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for word := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(trimSpace(word), token) {
				return true
			}
		}
	}
	return false
}
