package strict

import (
	"bytes"
	"fmt"
	"net/http"
)

// preface opens a connection that speaks HTTP/2 without TLS.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// maxTrailer is what net/http can take: its buffer must hold all of it.
const maxTrailer = 4096

// phase is what the next byte of a connection belongs to.
type phase uint8

const (
	between   phase = iota + 1 // the next request, for which nobody has asked
	inHead                     // request line and header, to the empty line
	inBody                     // a body of known length
	inSize                     // the number of a chunk's line
	inOptions                  // what follows the number, which nobody reads
	inSizeEnd                  // LF of the chunk's line
	inChunk                    // data of a chunk
	inChunkCR                  // CR LF behind the data
	inChunkLF
	inTrailer // fields behind the last chunk, to the empty line
	tunnel    // not HTTP/1: whatever comes is let through
	refused   // nothing is let through any more
)

func (p phase) String() string {
	switch p {
	case between:
		return "between requests"
	case inHead:
		return "head"
	case inBody:
		return "body"
	case inSize:
		return "chunk size"
	case inOptions:
		return "chunk extension"
	case inSizeEnd:
		return "end of chunk size"
	case inChunk:
		return "chunk"
	case inChunkCR, inChunkLF:
		return "end of chunk"
	case inTrailer:
		return "trailer"
	case tunnel:
		return "tunnel"
	case refused:
		return "refused"
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// framer follows one connection's bytes and knows where each request ends.
type framer struct {
	opts  *Options
	phase phase
	used  bool // a request was let through
	head  head // of the request at hand, or the last one

	left   int64 // bytes of the body or the chunk that are to come
	chunk  chunkLine
	excess int64 // see chunkLine.end

	// Of a head or a trailer, which is passed to scan again until it is complete.
	line    int // where its first line begins that was not read
	scanned int // up to where it holds no further LF

	refusal   *Refusal // why the phase is refused
	inMessage bool     // it came behind the head
}

// begin says that the server asks for a request.
func (f *framer) begin() {
	f.phase, f.line, f.scanned, f.head = inHead, 0, 0, head{}
}

// scan judges b and returns how much of it may be let through. It stops behind a request.
// A head or trailer that is not complete has to be passed again, from its beginning and with
// more behind it.
func (f *framer) scan(b []byte) int {
	ok := 0
	for ok < len(b) {
		n := f.step(b[ok:])
		if n == 0 {
			break
		}
		ok += n
	}
	return ok
}

func (f *framer) step(b []byte) int {
	switch f.phase {
	case between, refused:
		return 0
	case tunnel:
		return len(b)
	case inHead, inTrailer:
		return f.section(b)
	case inBody, inChunk:
		return f.data(b)
	default:
		return f.framing(b)
	}
}

// refuse ends the connection's chances.
func (f *framer) refuse(r *Refusal) int {
	f.inMessage = f.phase != inHead
	f.phase, f.refusal = refused, r
	return 0
}

func (f *framer) data(b []byte) int {
	n := min(f.left, int64(len(b)))
	if f.left -= n; f.left == 0 {
		if f.phase == inBody {
			f.phase = between
		} else {
			f.phase = inChunkCR
		}
	}
	return int(n)
}

// section reads the lines of a head or a trailer, which begins with b. It lets through all
// of it or nothing.
func (f *framer) section(b []byte) int {
	limit := maxTrailer
	if f.phase == inHead {
		limit = f.opts.MaxHead
		if f.opts.HTTP2 && !f.used && hasPrefix(b, preface) {
			return f.http2(b)
		}
		if f.line == 0 && !mayBegin(b) {
			return f.refuse(bad("what came does not begin with a method of HTTP"))
		}
	}
	for {
		end := f.scanned + bytes.IndexByte(b[f.scanned:], '\n') + 1
		if end == f.scanned { // no LF
			if f.scanned = len(b); f.scanned > limit {
				return f.tooLong()
			}
			return 0
		}
		if end > limit {
			return f.tooLong()
		}
		line := b[f.line:end]
		if len(line) < 2 || line[len(line)-2] != '\r' {
			return f.refuse(bad("line ends with a bare LF"))
		}
		at := f.line
		f.line, f.scanned = end, end
		if len(line) == 2 { // of a head it is not the first: that began with a method
			return f.complete(b[:end])
		}
		if r := f.readLine(line[:len(line)-2], at); r != nil {
			return f.refuse(r)
		}
	}
}

// hasPrefix reports whether b begins with want, as far as either goes.
func hasPrefix(b []byte, want string) bool {
	n := min(len(b), len(want))
	return string(b[:n]) == want[:n]
}

// http2 lets go of a connection once its preface is complete.
func (f *framer) http2(b []byte) int {
	if len(b) < len(preface) {
		return 0
	}
	f.phase = tunnel
	return len(b)
}

// mayBegin looks at what may be handed over early. Somebody who speaks TLS will never send a
// line, and need not be waited for.
func mayBegin(b []byte) bool { return isToken(b[:1]) && isText(b[:min(len(b), early)]) }

func (f *framer) tooLong() int {
	if f.phase == inTrailer {
		return f.refuse(bad("trailer is too long"))
	}
	return f.refuse(&Refusal{http.StatusRequestHeaderFieldsTooLarge, "request head is too long"})
}

// readLine reads one line, at this offset of the section, without its end.
func (f *framer) readLine(line []byte, at int) *Refusal {
	switch {
	case f.phase == inTrailer:
		return readTrailerLine(line)
	case at == 0:
		return f.head.requestLine(line)
	default:
		return f.head.field(line, at)
	}
}

// readTrailerLine refuses fields that would have meant something in the head.
func readTrailerLine(line []byte) *Refusal {
	colon, r := splitField(line)
	if r != nil {
		return r
	}
	for _, name := range [...]string{"content-length", "transfer-encoding", "host", "trailer", "connection", "upgrade", "te", "expect"} {
		if isName(line[:colon], name) {
			return bad("trailer holds a field of the framing")
		}
	}
	return nil
}

// complete ends the section b.
func (f *framer) complete(b []byte) int {
	if f.phase == inTrailer {
		f.phase = between
		return len(b)
	}
	if r := f.head.complete(b); r != nil {
		return f.refuse(r)
	}
	f.used = true
	switch {
	case f.head.chunked:
		f.phase, f.chunk, f.excess = inSize, chunkLine{}, 0
	case f.head.length > 0:
		f.phase, f.left = inBody, f.head.length
	default:
		f.phase = between
	}
	return len(b)
}
