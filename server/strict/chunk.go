package strict

// Limits of a chunk's line. A size of 15 digits is far from an overflow; net/http would take
// 16, and extensions of 4 KiB.
const (
	maxSizeDigits = 15
	maxExtension  = 256
)

// chunkLine is the line in front of a chunk, so far.
type chunkLine struct {
	size   int64
	digits int
	extra  int // bytes of the extension
}

// framing follows what is in a chunked body and is not data.
func (f *framer) framing(b []byte) int {
	for i, c := range b {
		if r := f.framingByte(c); r != nil {
			f.refuse(r)
			return i
		}
		if f.phase == inChunk || f.phase == inTrailer {
			return i + 1
		}
	}
	return len(b)
}

func (f *framer) framingByte(c byte) *Refusal {
	switch f.phase {
	case inSize:
		return f.sizeByte(c)
	case inOptions:
		return f.extensionByte(c)
	case inSizeEnd:
		if c != '\n' {
			return bad("chunk size is followed by a bare CR")
		}
		return f.endLine()
	case inChunkCR:
		f.phase = inChunkLF
		if c != '\r' {
			return bad("chunk is longer than its size, or ends with a bare LF")
		}
	case inChunkLF:
		f.phase, f.chunk = inSize, chunkLine{}
		if c != '\n' {
			return bad("chunk is followed by a bare CR")
		}
	}
	return nil
}

func (f *framer) sizeByte(c byte) *Refusal {
	l := &f.chunk
	if v := hexValue(c); v >= 0 {
		l.size = l.size<<4 | int64(v)
		if l.digits++; l.digits > maxSizeDigits {
			return bad("chunk size is too long a number")
		}
		return nil
	}
	switch {
	case l.digits == 0:
		return bad("chunk size is missing")
	case c == '\r':
		f.phase = inSizeEnd
	case c == ';':
		f.phase = inOptions
		l.extra++
	case c == '\n':
		return bad("chunk size is followed by a bare LF")
	default:
		return bad("chunk size is not a hexadecimal number")
	}
	return nil
}

func (f *framer) extensionByte(c byte) *Refusal {
	if c == '\r' {
		f.phase = inSizeEnd
		return nil
	}
	if f.chunk.extra++; f.chunk.extra > maxExtension {
		return bad("chunk extension is too long")
	}
	if c < ' ' && c != '\t' || c >= 0x7f {
		return bad("chunk extension holds a control character, or none of ASCII")
	}
	return nil
}

// endLine begins the chunk. As in net/http, a body may not consist of framing: each line has
// 16 bytes for nothing, and two for each byte of data, and 16 KiB may be overdrawn.
func (f *framer) endLine() *Refusal {
	l := &f.chunk
	f.excess = max(0, f.excess+int64(l.digits+l.extra)+2-16-2*l.size)
	if f.excess > 16<<10 {
		return bad("chunked body has too much in it that is not data")
	}
	if f.left = l.size; f.left > 0 {
		f.phase = inChunk
		return nil
	}
	f.phase, f.line, f.scanned = inTrailer, 0, 0
	return nil
}
