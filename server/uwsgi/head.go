package uwsgi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
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
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if hd.take(k, h[k]) {
			b = appendField(b, k, h[k])
		}
	}
	return b
}

// take notes what a field means for the rest of the head and reports whether it is
// sent as it stands.
func (hd *head) take(key string, values []string) bool {
	switch http.CanonicalHeaderKey(key) {
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
	if !validName(key) {
		if !strings.HasPrefix(key, http.TrailerPrefix) {
			hd.rejected = key
		}
		return false
	}
	return true
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

// finish appends what only the server knows. sniff is the beginning of the body.
func (hd *head) finish(b []byte, sniff []byte, now time.Time) []byte {
	if !hd.hasDate {
		b = append(b, "Date: "...)
		b = now.UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\n"...)
	}
	if bodyAllowed(hd.status) {
		if hd.length >= 0 {
			b = append(b, "Content-Length: "...)
			b = strconv.AppendInt(b, hd.length, 10)
			b = append(b, "\r\n"...)
		}
		if !hd.hasType && len(sniff) > 0 {
			b = appendField(b, "Content-Type", []string{http.DetectContentType(sniff)})
		}
	}
	if hd.status != http.StatusSwitchingProtocols {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

func appendStatusLine(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	text := http.StatusText(status)
	if text == "" {
		text = fmt.Sprintf("status code %d", status)
	}
	b = append(b, text...)
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
