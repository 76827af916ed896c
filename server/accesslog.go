package server

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/seed17661985/ostler/worker/pool"
)

// accessLog writes one line per request with one write call each, so that the
// lines of many processes never mix in a file opened for appending.
//
// Everything in a line that came from a client is escaped: a request cannot
// forge a second line.
type accessLog struct {
	out    io.Writer
	format func(dst []byte, r *http.Request, res pool.Result) []byte
}

func newAccessLog(out io.Writer, format string) *accessLog {
	if format == "json" {
		return &accessLog{out: out, format: appendJSONLine}
	}
	return &accessLog{out: out, format: appendCombinedLine}
}

// record is pool.Options.OnDone. A log that cannot be written must not cost
// the request, so the write error has nowhere to go.
func (a *accessLog) record(r *http.Request, res pool.Result) {
	_, _ = a.out.Write(a.format(make([]byte, 0, 256), r, res))
}

// appendCombinedLine is the "combined" format of Apache httpd and nginx.
func appendCombinedLine(b []byte, r *http.Request, res pool.Result) []byte {
	b = appendField(b, remoteHost(r))
	b = append(b, " - "...)
	b = appendField(b, remoteUser(r))
	b = append(b, " ["...)
	b = res.Start.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendEscaped(b, r.Method)
	b = append(b, ' ')
	b = appendEscaped(b, requestURI(r))
	b = append(b, ' ')
	b = appendEscaped(b, r.Proto)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(res.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, res.Bytes, 10)
	b = append(b, ` "`...)
	b = appendField(b, r.Referer())
	b = append(b, `" "`...)
	b = appendField(b, r.UserAgent())
	return append(b, "\"\n"...)
}

// appendField is appendEscaped with "-" for nothing, as both servers write it.
func appendField(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return appendEscaped(b, s)
}

// appendEscaped writes control bytes, quotes, backslashes and everything that
// is not UTF-8 as \xHH, as nginx does.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x20, r == 0x7f, r == '"', r == '\\':
			b = append(b, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
		case r >= 0x80 && r <= 0x9f, r == '\u2028', r == '\u2029': // C1 controls and line separators end a line in some viewers
			for _, c := range []byte(s[i : i+size]) {
				b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			}
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}

// accessLine is one line of req-format = "json".
type accessLine struct {
	Time      time.Time `json:"time"`
	Remote    string    `json:"remote_addr"`
	User      string    `json:"user,omitempty"`
	Host      string    `json:"host"`
	Method    string    `json:"method"`
	URI       string    `json:"uri"`
	Proto     string    `json:"proto"`
	Status    int       `json:"status"`
	Bytes     int64     `json:"bytes"`
	Micros    int64     `json:"duration_us"`
	Referer   string    `json:"referer,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Slot      int       `json:"slot"`
}

func appendJSONLine(b []byte, r *http.Request, res pool.Result) []byte {
	line, err := json.Marshal(accessLine{
		Time: res.Start, Remote: remoteHost(r), User: remoteUser(r), Host: r.Host,
		Method: r.Method, URI: requestURI(r), Proto: r.Proto,
		Status: res.Status, Bytes: res.Bytes, Micros: res.Took.Microseconds(),
		Referer: r.Referer(), UserAgent: r.UserAgent(), Slot: res.Slot,
	})
	if err != nil { // strings and numbers always marshal
		return b
	}
	return append(append(b, line...), '\n')
}

// requestURI prefers what the client sent: a handler may have rewritten the URL.
func requestURI(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// remoteUser never reads the Authorization header for more than the name.
func remoteUser(r *http.Request) string {
	user, _, _ := r.BasicAuth()
	return user
}
