package uwsgi

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrServerClosed is what Serve returns when it ended because it was meant to: after
// Shutdown or Close, or because its listener was closed. Whoever started Serve takes
// every other error as a failure.
var ErrServerClosed = errors.New("uwsgi: server closed")

var (
	// errClientGone is the cause of a request's context when the peer went away.
	errClientGone = errors.New("uwsgi: client went away")
	// errFinished is what a goroutine gets that outlived its handler and still writes.
	errFinished = errors.New("uwsgi: response used after the handler returned")
)

// ProtocolError is a request that was refused, with the HTTP status that says so.
type ProtocolError struct {
	Status int    // what the peer is answered
	Reason string // for the log and for the peer; repeats no secret of the request
}

func (e *ProtocolError) Error() string { return "uwsgi: " + e.Reason }

func refuse(status int, format string, args ...any) *ProtocolError {
	return &ProtocolError{Status: status, Reason: fmt.Sprintf(format, args...)}
}

func refuseRepeated(name string) *ProtocolError {
	return refuse(http.StatusBadRequest,
		"variable %s is given twice with different values (set in uwsgi_params and again?)", name)
}

// foreignProtocol names the protocol whose first four bytes these are, if it is a well
// known one that is not uwsgi. A wrong directive in the front end (proxy_pass,
// fastcgi_pass) is the commonest mistake with a uwsgi socket, and without a name for it
// the log would speak of modifier 71 and a block of 21573 bytes.
func foreignProtocol(b []byte) string {
	switch {
	case b[0] == 0x16 && b[1] == 3 && b[2] <= 4:
		return "TLS"
	case b[0] == 1 && b[1] == 1 && b[2] == 0:
		return "FastCGI"
	case string(b) == "PROX", string(b) == "\r\n\r\n":
		return "the PROXY protocol"
	case isSCGI(b):
		return "SCGI"
	case isHTTPStart(b):
		return "HTTP"
	}
	return ""
}

// isSCGI recognises the netstring that SCGI begins with: digits, then a colon.
func isSCGI(b []byte) bool {
	for i, c := range b {
		if c == ':' {
			return i > 0
		}
		if c < '0' || c > '9' {
			return false
		}
	}
	return false
}

// isHTTPStart recognises a method, also one nobody registered: capitals and then at
// most a space. Such bytes as a uwsgi header would mean a modifier from 65 to 90.
func isHTTPStart(b []byte) bool {
	for i, c := range b {
		if c == ' ' && i > 0 && i == len(b)-1 {
			return true
		}
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// modifierName helps an operator who pointed another tool of the uWSGI world here.
func modifierName(m uint8) string {
	names := map[uint8]string{
		5: "PSGI", 6: "Lua", 7: "Rack", 8: "JVM", 9: "CGI", 11: "gccgo", 14: "PHP", 15: "Mono",
		17: "spooler", 18: "symcall", 19: "SSI", 22: "eval", 48: "SNMP", 101: "echo",
		110: "signal", 111: "cache", 123: "corerouter", 173: "RPC", 224: "subscription",
	}
	if name, ok := names[m]; ok {
		return " (" + name + ")"
	}
	return ""
}
