package uwsgi

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The packet header, four bytes. The block that follows is a repetition of
// key length u16 LE, key, value length u16 LE, value; no terminator, no count.
const (
	headerLen = 4 // modifier1 u8, block size u16 LE, modifier2 u8
	// MaxBlock is the largest block the 16-bit size can announce. Front ends refuse
	// larger ones themselves.
	MaxBlock = 1<<16 - 1
)

// Values of modifier1 that this package speaks. All others are refused with 501.
const (
	ModifierRequest = 0   // block of variables, then CONTENT_LENGTH bytes of body
	ModifierMounted = 30  // the same, and SCRIPT_NAME is still in front of PATH_INFO
	ModifierPing    = 100 // empty block; the answer is a packet 100 with modifier2 1
)

// Header is the fixed part of a uwsgi packet.
type Header struct {
	Modifier1 uint8
	Size      uint16 // of the block, not of the body
	Modifier2 uint8
}

// AppendTo appends the wire form of h to b.
func (h Header) AppendTo(b []byte) []byte {
	b = append(b, h.Modifier1)
	b = binary.LittleEndian.AppendUint16(b, h.Size)
	return append(b, h.Modifier2)
}

func parseHeader(b []byte) Header {
	return Header{Modifier1: b[0], Size: binary.LittleEndian.Uint16(b[1:]), Modifier2: b[3]}
}

// Limits bounds what ReadRequest accepts beyond what the protocol itself bounds.
type Limits struct {
	MaxVars int   // variables in a block, 431 above; zero means as many as fit
	MaxBody int64 // bytes of CONTENT_LENGTH, 413 above; zero means no limit
}

// Request is one uwsgi packet. Its body follows on the same reader.
type Request struct {
	Header        Header
	Vars          Vars
	ContentLength int64 // from CONTENT_LENGTH; zero if that is absent or empty
}

// AppendTo appends the wire form of r, without the body, to b. It sets Header.Size.
func (r *Request) AppendTo(b []byte) ([]byte, error) {
	size := r.Vars.wireLen()
	if size > MaxBlock {
		return b, fmt.Errorf("uwsgi: block of %d bytes, the protocol ends at %d", size, MaxBlock)
	}
	r.Header.Size = uint16(size)
	return r.Vars.appendTo(r.Header.AppendTo(b)), nil
}

// ReadRequest reads one packet up to its body. The error is io.EOF if the peer closed
// before its first byte, which is how probes look, a *ProtocolError for everything a
// peer can get wrong, and otherwise the error of the connection.
//
// Memory is bounded by the announced block, so by 64 KiB.
func ReadRequest(br *bufio.Reader, l Limits) (*Request, error) {
	var p incoming
	if err := p.read(br, l); err != nil {
		return nil, err
	}
	return &Request{Header: p.Header, Vars: listVars(p.block, p.count), ContentLength: p.length}, nil
}

// readHeader peeks first: what is not uwsgi at all stays in br to be drained.
func readHeader(br *bufio.Reader) (Header, error) {
	b, err := br.Peek(headerLen)
	switch {
	case err == nil:
	case len(b) == 0:
		return Header{}, err
	default:
		return Header{}, cutShort(err, "header ended after %d of %d bytes", len(b), headerLen)
	}
	h := parseHeader(b)
	switch h.Modifier1 {
	case ModifierRequest, ModifierMounted, ModifierPing: // no other protocol begins with these
	default:
		return Header{}, refuseModifier(h.Modifier1, b)
	}
	_, err = br.Discard(headerLen)
	return h, err
}

func refuseModifier(m uint8, header []byte) error {
	if foreign := foreignProtocol(header); foreign != "" {
		return refuse(http.StatusBadRequest, "spoken to in %s, but this is a uwsgi socket", foreign)
	}
	return refuse(http.StatusNotImplemented,
		"modifier1 %d%s is not served, only 0, 30 and 100", m, modifierName(m))
}

// spare is room behind a block for what is made of it: the client's address and port,
// names of unusual headers. What does not fit has an allocation of its own.
const spare = 128

// readBlock appends the block to mem, which is empty. Everything that comes out of the
// block shares this one string.
func readBlock(mem *strings.Builder, br *bufio.Reader, n int) error {
	if n <= br.Size() {
		b, err := br.Peek(n)
		if err != nil {
			return cutShort(err, "block ended after %d of %d bytes", len(b), n)
		}
		mem.Grow(n + spare)
		mem.Write(b)
		_, err = br.Discard(n)
		return err
	}
	b := make([]byte, n)
	if got, err := io.ReadFull(br, b); err != nil {
		return cutShort(err, "block ended after %d of %d bytes", got, n)
	}
	mem.Grow(n + spare)
	mem.Write(b)
	return nil
}

// cutShort tells a peer that ended in the middle, its mistake, from a connection that
// failed under it.
func cutShort(err error, format string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(http.StatusBadRequest, format, args...)
	}
	return fmt.Errorf("uwsgi: "+format+": %w", append(args, err)...)
}

// parseDigits takes digits only, no sign and no space, up to the largest int64.
func parseDigits(s string) (n int64, ok bool) {
	const most = 1<<63 - 1
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (most-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, s != ""
}
