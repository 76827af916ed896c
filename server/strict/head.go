package strict

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// maxLengthDigits is more than anybody sends, and far from an overflow. Leading zeros count.
const maxLengthDigits = 18

// head is what the lines of a request's head have said so far.
type head struct {
	minor   byte // of HTTP/1
	connect bool
	target  span // in another form than "/..."; empty for that
	version span
	host    span
	hosts   int
	length  int64
	sized   bool // there is a Content-Length
	chunked bool
}

// span is a piece of the head. It is no slice because the head may move while it grows.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// requestLine reads the first line, which is b from its beginning.
func (h *head) requestLine(b []byte) *Refusal {
	method, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok || !isToken(method) {
		return bad("request line does not begin with a method and a space")
	}
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return bad("request line has no version") // HTTP/0.9
	}
	h.connect = string(method) == http.MethodConnect
	if r := h.readTarget(method, target); r != nil {
		return r
	}
	h.version = span{len(b) - len(version), len(b)}
	return h.readVersion(version)
}

// readTarget refuses what net/url refuses; it asks it about all but the usual form.
func (h *head) readTarget(method, target []byte) *Refusal {
	if len(target) == 0 || !isText(target) || bytes.IndexByte(target, '\t') >= 0 {
		return bad("request target is empty or holds a control character")
	}
	switch path, _, _ := bytes.Cut(target, []byte("?")); {
	case target[0] == '/':
		if !hasGoodEscapes(path) {
			return bad("request target holds a percent sign that begins no escape")
		}
		return nil
	case string(target) == "*":
		if string(method) != http.MethodOptions {
			return bad("request target * belongs to OPTIONS")
		}
		return nil
	}
	from := len(method) + 1
	h.target = span{from, from + len(target)}
	if _, ok := h.authority(target); !ok {
		return bad("request target is neither a path nor a http URL")
	}
	return nil
}

// authority is the host that a target names, of the forms http://host/path and host:port.
func (h *head) authority(target []byte) (string, bool) {
	text := string(target)
	if h.connect {
		text = "http://" + text
	}
	u, err := url.ParseRequestURI(text)
	if err != nil || u.Opaque != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost([]byte(u.Host)) {
		return "", false
	}
	return u.Host, !h.connect || u.Host == string(target)
}

func (h *head) readVersion(v []byte) *Refusal {
	switch string(v) {
	case "HTTP/1.1":
		h.minor = 1
		return nil
	case "HTTP/1.0":
		return nil
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' && isDigits(v[5:6]) && isDigits(v[7:]) {
		return &Refusal{http.StatusHTTPVersionNotSupported, "request is of another version than HTTP/1.0 and HTTP/1.1"}
	}
	return bad("request line does not end with a version of HTTP")
}

// field reads a line of the header that begins at offset at of the head.
func (h *head) field(line []byte, at int) *Refusal {
	colon, r := splitField(line)
	if r != nil {
		return r
	}
	switch name, value := line[:colon], line[colon+1:]; {
	case isName(name, "content-length"):
		return h.contentLength(trim(value))
	case isName(name, "transfer-encoding"):
		return h.transferEncoding(trim(value))
	case isName(name, "host"):
		h.hosts++
		h.host = span{at + colon + 1, at + len(line)}
	case isName(name, "trailer"):
		return announced(value)
	}
	return nil
}

// splitField finds the colon of a line that is a field and nothing else.
func splitField(line []byte) (colon int, r *Refusal) {
	if line[0] == ' ' || line[0] == '\t' {
		return 0, bad("header line begins with white space (a folded line)")
	}
	colon = bytes.IndexByte(line, ':')
	if colon < 0 {
		return 0, bad("header line has no colon")
	}
	if name := line[:colon]; !isToken(name) {
		if len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
			return 0, bad("header name is followed by white space")
		}
		return 0, bad("header name is empty or holds a character that no name has")
	}
	if !isText(line[colon:]) {
		return 0, bad("header value holds a control character")
	}
	return colon, nil
}

func (h *head) contentLength(v []byte) *Refusal {
	switch {
	case h.sized:
		return bad("Content-Length is there twice")
	case !isDigits(v):
		return bad("Content-Length is not a number")
	case len(v) > maxLengthDigits:
		return bad("Content-Length is too long a number")
	}
	h.sized = true
	for _, c := range v {
		h.length = h.length*10 + int64(c-'0')
	}
	return nil
}

func (h *head) transferEncoding(v []byte) *Refusal {
	switch {
	case h.chunked:
		return bad("Transfer-Encoding is there twice")
	case string(v) != "chunked":
		return bad("Transfer-Encoding is not chunked")
	}
	h.chunked = true
	return nil
}

// announced refuses what net/http does: a trailer that would change the framing.
func announced(v []byte) *Refusal {
	for name := range bytes.SplitSeq(v, []byte(",")) {
		if name = trim(name); isName(name, "content-length") || isName(name, "transfer-encoding") || isName(name, "trailer") {
			return bad("Trailer announces a field of the framing")
		}
	}
	return nil
}

// complete judges the head b as a whole.
func (h *head) complete(b []byte) *Refusal {
	host := trim(h.host.of(b))
	switch {
	case h.chunked && h.sized:
		return bad("Transfer-Encoding and Content-Length together")
	case h.chunked && h.minor == 0:
		return bad("Transfer-Encoding in HTTP/1.0")
	case h.hosts > 1:
		return bad("Host is there twice")
	case h.minor == 1 && len(host) == 0:
		return bad("Host is missing or empty")
	case len(host) > 0 && !isHost(host):
		return bad("Host is not a name or an address")
	}
	if h.target == (span{}) || h.hosts == 0 {
		return nil
	}
	if named, _ := h.authority(h.target.of(b)); !strings.EqualFold(named, string(host)) {
		return bad("Host and the request target name different hosts")
	}
	return nil
}

func bad(cause string) *Refusal { return &Refusal{http.StatusBadRequest, cause} }
