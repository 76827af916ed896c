package uwsgi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// head is a response head in the making: the handler's own fields are written when it
// calls WriteHeader, which freezes them; what depends on the body follows when the
// head goes out.
type head struct {
	status   int
	length   int64 // declared Content-Length, -1 if none
	hasType  bool  // Content-Type is set, or must not be guessed
	hasDate  bool
	rejected string // the last header name that cannot be sent
	badCL    string // a declared Content-Length that is no number
}

// begin appends the status line and the handler's fields.
//
// The connection carries one response and ends with it, so the fields that manage a
// connection are not the handler's: nginx and Apache would pass a chunked coding on
// undecoded, and trailers have no place.
func (hd *head) begin(b []byte, status int, h http.Header) []byte {
	*hd = head{status: status, length: -1}
	b = appendStatusLine(b, status)
	var few [16]string // on the stack: hardly a response has more fields
	keys := few[:0]
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if values := h[k]; hd.take(k, values) {
			b = appendField(b, k, values)
		}
	}
	return b
}

// take notes what a field means for the rest of the head and reports whether it is
// sent as it stands.
func (hd *head) take(key string, values []string) bool {
	canonical, valid := canonicalKey(key)
	switch canonical {
	case "Content-Length":
		hd.declare(values)
		return false
	case "Transfer-Encoding", "Trailer", "Keep-Alive", "Proxy-Connection":
		return false
	case "Connection", "Upgrade":
		// nginx relays an Upgrade that upgrades nothing to an HTTP/2 client too, which
		// must take that for a broken stream (RFC 9113 8.2.2).
		return hd.status == http.StatusSwitchingProtocols
	case "Content-Type":
		hd.hasType = true
		return hd.status != http.StatusNotModified
	case "Content-Encoding":
		hd.hasType = hd.hasType || len(values) > 0 && values[0] != ""
	case "Date":
		hd.hasDate = true
	}
	if !valid && !strings.HasPrefix(key, http.TrailerPrefix) {
		hd.rejected = key
	}
	return valid
}

// canonicalKey is http.CanonicalHeaderKey and validName at once for a key that is canonical
// already, as all are that came through http.Header's methods.
func canonicalKey(key string) (canonical string, valid bool) {
	switch key { // for speed only
	case "Cache-Control", "Content-Length", "Content-Type", "Etag", "Last-Modified", "Location", "Set-Cookie", "Vary":
		return key, true
	}
	word := true // at its beginning
	for i := range len(key) {
		c := key[i]
		lower, upper := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z'
		if word && lower || !word && upper || !in(tokenLow, tokenHigh, c) {
			return http.CanonicalHeaderKey(key), validName(key)
		}
		word = c == '-'
	}
	return key, key != ""
}

func (hd *head) declare(values []string) {
	if len(values) == 0 || values[0] == "" {
		return
	}
	n, ok := parseDigits(trimSpace(values[0]))
	if !ok {
		hd.badCL = values[0]
		return
	}
	hd.length = n
}

// finish appends what only the server knows: its date, if the handler gave none, and what
// follows from the body, of which sniff is the beginning.
func (hd *head) finish(b []byte, sniff []byte, date string) []byte {
	if !hd.hasDate {
		b = append(b, "Date: "...)
		b = append(b, date...)
		b = append(b, "\r\n"...)
	}
	if bodyAllowed(hd.status) {
		if hd.length >= 0 {
			b = append(b, "Content-Length: "...)
			b = strconv.AppendInt(b, hd.length, 10)
			b = append(b, "\r\n"...)
		}
		if !hd.hasType && len(sniff) > 0 {
			b = append(b, "Content-Type: "...)
			b = append(b, detectType(sniff)...)
			b = append(b, "\r\n"...)
		}
	}
	if hd.status != http.StatusSwitchingProtocols {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// Characters that no signature of http.DetectContentType begins with, nor white space, with
// which it may. What begins with one of them is either plain text or binary.
const (
	plainStartLow  = digits | 1<<'"' | 1<<'(' | 1<<'-'
	plainStartHigh = (letters | 1<<('['-64) | 1<<('{'-64)) &^
		(1<<('B'-64) | 1<<('F'-64) | 1<<('G'-64) | 1<<('I'-64) | 1<<('M'-64) |
			1<<('O'-64) | 1<<('P'-64) | 1<<('R'-64) | 1<<('t'-64) | 1<<('w'-64))
)

// detectType is http.DetectContentType, spared the comparison with forty signatures for
// what is plain text at first sight. It lets no control character pass but the commonest.
func detectType(sniff []byte) string {
	if !in(plainStartLow, plainStartHigh, sniff[0]) {
		return http.DetectContentType(sniff)
	}
	for _, c := range sniff {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return http.DetectContentType(sniff)
		}
	}
	return "text/plain; charset=utf-8"
}

func appendStatusLine(b []byte, status int) []byte {
	if status == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// appendField is the only place where a handler's text reaches the wire before the
// body. Invariant: key is a token, and what is written of a value holds no line break
// and no NUL, so a field is always exactly one line.
func appendField(b []byte, key string, values []string) []byte {
	for _, v := range values {
		b = append(b, key...)
		b = append(b, ": "...)
		b = append(b, cleanValue(v)...)
		b = append(b, "\r\n"...)
	}
	return b
}

// cleanValue does to every control character what net/http does to line breaks.
func cleanValue(v string) string {
	if !validValue(v) {
		clean := []byte(v)
		for i, c := range clean {
			if isControl(c) && c != '\t' {
				clean[i] = ' '
			}
		}
		v = string(clean)
	}
	return trimSpace(v)
}

// bodyAllowed reports whether a response of this status has a body, RFC 9110 6.4.1.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
