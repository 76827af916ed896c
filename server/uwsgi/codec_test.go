package uwsgi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func read(b []byte, l Limits) (*Request, error) {
	return ReadRequest(bufio.NewReader(bytes.NewReader(b)), l)
}

// block puts a header in front of raw bytes.
func block(modifier uint8, raw string) []byte {
	return append(Header{Modifier1: modifier, Size: uint16(len(raw))}.AppendTo(nil), raw...)
}

func TestMalformedRequestsAreRefusedByName(t *testing.T) {
	length := func(v ...string) []byte {
		pairs := minimal()
		for _, v := range v {
			pairs = append(pairs, "CONTENT_LENGTH", v)
		}
		return packet(t, 0, pairs...)
	}
	var many []string
	for range 10000 {
		many = append(many, "a", "")
	}
	for _, tt := range []struct {
		name   string
		in     []byte
		limits Limits
		status int
		reason string
	}{
		{"header cut", []byte{0, 9}, Limits{}, 400, "header ended after 2 of 4 bytes"},
		{"block cut", block(0, "\x03\x00abc\x00\x00")[:8], Limits{}, 400, "block ended after 4 of 7 bytes"},
		{"block missing", []byte{0, 1, 0, 0}, Limits{}, 400, "block ended after 0 of 1 bytes"},
		{"long block cut", append([]byte{0, 0xff, 0xff, 0}, make([]byte, 9000)...), Limits{}, 400, "block ended after 9000 of 65535 bytes"},
		{"one byte block", block(0, "x"), Limits{}, 400, "name at offset 0 runs past"},
		{"empty name", block(0, "\x00\x00\x01\x00x"), Limits{}, 400, "offset 0 has no name"},
		{"name past block", block(0, "\x01\x00a\x00\x00\xff\xffb"), Limits{}, 400, "name at offset 5 runs past"},
		{"value missing", block(0, "\x01\x00a"), Limits{}, 400, "value of variable at offset 0"},
		{"value past block", block(0, "\x01\x00a\x02\x00b"), Limits{}, 400, "value of variable at offset 0"},
		{"too many", packet(t, 0, many...), Limits{MaxVars: 9999}, 431, "10000 variables are over the limit of 9999"},
		{"length signed", length("+5"), Limits{}, 400, `CONTENT_LENGTH "+5"`},
		{"length spaced", length("5 "), Limits{}, 400, `CONTENT_LENGTH "5 "`},
		{"length hex", length("0x5"), Limits{}, 400, `CONTENT_LENGTH "0x5"`},
		{"length 2^64", length("18446744073709551616"), Limits{}, 400, "is not a number"},
		{"length 2^63", length("9223372036854775808"), Limits{}, 400, "is not a number"},
		{"length fraction", length("1.0"), Limits{}, 400, "is not a number"},
		{"length NUL", length("5\x00"), Limits{}, 400, "is not a number"},
		{"length list", length("5, 5"), Limits{}, 400, "is not a number"},
		{"length unknown", length("-1"), Limits{}, 411, "front end must buffer"},
		{"lengths differ", length("5", "6"), Limits{}, 400, "CONTENT_LENGTH is given twice"},
		{"lengths differ, empty", length("5", ""), Limits{}, 400, "CONTENT_LENGTH is given twice"},
		{"body over limit", length("11"), Limits{MaxBody: 10}, 413, "body of 11 bytes is over the limit of 10"},
		{"HTTP GET", []byte("GET / HTTP/1.1\r\n\r\n"), Limits{}, 400, "spoken to in HTTP"},
		{"HTTP POST", []byte("POST / HTTP/1.1\r\n\r\n"), Limits{}, 400, "spoken to in HTTP"},
		{"HTTP PUT", []byte("PUT / HTTP/1.1\r\n\r\n"), Limits{}, 400, "spoken to in HTTP"},
		{"HTTP PROPFIND", []byte("PROPFIND / HTTP/1.1\r\n\r\n"), Limits{}, 400, "spoken to in "},
		{"HTTP/2", []byte("PRI * HTTP/2.0\r\n\r\n"), Limits{}, 400, "spoken to in HTTP"},
		{"HTTP response", []byte("HTTP/1.1 200 OK\r\n"), Limits{}, 400, "spoken to in HTTP"},
		{"TLS 1.0 record", []byte{0x16, 3, 1, 2, 0, 1}, Limits{}, 400, "spoken to in TLS"},
		{"TLS 1.2 record", []byte{0x16, 3, 3, 0, 0x7a}, Limits{}, 400, "spoken to in TLS"},
		{"FastCGI", []byte{1, 1, 0, 1, 0, 8, 0, 0}, Limits{}, 400, "spoken to in FastCGI"},
		{"SCGI", []byte("70:CONTENT_LENGTH\x00"), Limits{}, 400, "spoken to in SCGI"},
		{"PROXY v1", []byte("PROXY TCP4 1.2.3.4"), Limits{}, 400, "the PROXY protocol"},
		{"PROXY v2", []byte("\r\n\r\n\x00\r\nQUIT\n"), Limits{}, 400, "the PROXY protocol"},
		{"RPC", []byte{173, 0, 0, 0}, Limits{}, 501, "modifier1 173 (RPC) is not served"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(tt.in, tt.limits)
			var pe *ProtocolError
			if !errors.As(err, &pe) {
				t.Fatalf("error is %v, want a ProtocolError", err)
			}
			if pe.Status != tt.status || !strings.Contains(pe.Error(), tt.reason) {
				t.Errorf("got %d %q, want %d %q", pe.Status, pe.Error(), tt.status, tt.reason)
			}
		})
	}
}

func TestEveryModifierIsServedOrRefused(t *testing.T) {
	for m := range 256 {
		_, err := read(append(block(uint8(m), "")[:3], 7), Limits{})
		var pe *ProtocolError
		switch served := m == 0 || m == 30 || m == 100; {
		case served && err != nil:
			t.Errorf("modifier %d: %v", m, err)
		case !served && (!errors.As(err, &pe) || pe.Status != 501):
			t.Errorf("modifier %d: %v, want 501", m, err)
		}
	}
}

func TestContentLengthIsRead(t *testing.T) {
	for value, want := range map[string]int64{
		"": 0, "0": 0, "5": 5, "007": 7, "9223372036854775807": 1<<63 - 1,
	} {
		r, err := read(packet(t, 0, minimal("CONTENT_LENGTH", value, "CONTENT_LENGTH", value)...), Limits{})
		if err != nil || r.ContentLength != want {
			t.Errorf("CONTENT_LENGTH %q: got %+v, %v, want %d", value, r, err, want)
		}
	}
	if r, err := read(packet(t, 0, minimal()...), Limits{}); err != nil || r.ContentLength != 0 {
		t.Errorf("absent: got %+v, %v", r, err)
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	in := packet(t, 0, minimal("CONTENT_LENGTH", "10")...)
	if _, err := read(in, Limits{MaxVars: 4, MaxBody: 10}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := read(in, Limits{MaxVars: 3}); err == nil {
		t.Error("one variable over the limit is accepted")
	}
	if _, err := read(in, Limits{MaxBody: 9}); err == nil {
		t.Error("one byte over the limit is accepted")
	}
}

func TestFullBlockIsRead(t *testing.T) {
	// 65535 bytes exactly: one variable of 1+4 bytes overhead leaves 65530 for its value.
	big := packet(t, 0, "a", strings.Repeat("x", MaxBlock-5))
	if binary.LittleEndian.Uint16(big[1:]) != MaxBlock {
		t.Fatal("block is not full")
	}
	for _, in := range []io.Reader{bytes.NewReader(big), iotest.OneByteReader(bytes.NewReader(big))} {
		r, err := ReadRequest(bufio.NewReader(in), Limits{})
		if err != nil || len(r.Vars.Get("a")) != MaxBlock-5 {
			t.Fatalf("full block: %v", err)
		}
	}
	tooBig := &Request{Vars: Vars{{"a", strings.Repeat("x", MaxBlock-4)}}}
	if _, err := tooBig.AppendTo(nil); err == nil {
		t.Error("a block of 65536 bytes is encoded")
	}
}

func TestAnyNumberOfVariablesIsRead(t *testing.T) {
	var r Request
	for range MaxBlock / 5 {
		r.Vars.Add("a", "")
	}
	b, err := r.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(b, Limits{})
	if err != nil || len(got.Vars) != 13107 {
		t.Fatalf("got %v", err)
	}
}

func TestBodyStaysInTheReader(t *testing.T) {
	in := append(packet(t, 0, minimal("CONTENT_LENGTH", "4")...), "bodysurplus"...)
	br := bufio.NewReader(iotest.HalfReader(bytes.NewReader(in)))
	if _, err := ReadRequest(br, Limits{}); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(br); string(rest) != "bodysurplus" {
		t.Errorf("left %q", rest)
	}
}

func TestSilenceIsNoProtocolError(t *testing.T) {
	if _, err := read(nil, Limits{}); err != io.EOF {
		t.Errorf("empty connection: %v, want io.EOF", err)
	}
	broken := errors.New("broken")
	_, err := ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader("\x00\x01"), iotest.ErrReader(broken))), Limits{})
	var pe *ProtocolError
	if !errors.Is(err, broken) || errors.As(err, &pe) {
		t.Errorf("broken connection: %v", err)
	}
}

func TestVarsKeepOrderAndRepeats(t *testing.T) {
	var vs Vars
	vs.Add("A", "1")
	vs.Add("B", "")
	vs.Add("A", "2")
	if got := vs.Get("A"); got != "2" {
		t.Errorf("Get(A) = %q, want the last", got)
	}
	if got := vs.Values("A"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("Values(A) = %q", got)
	}
	if _, ok := vs.Lookup("B"); !ok {
		t.Error("empty value counts as absent")
	}
	if _, ok := vs.Lookup("C"); ok || vs.Values("C") != nil {
		t.Error("absent name is found")
	}
}

// FuzzReadRequest holds the decoder to its law: what it accepts is exactly what the
// encoder would have written.
func FuzzReadRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(block(0, "\x00\x00\x00\x00"))
	f.Add(packet(f, 30, minimal("CONTENT_LENGTH", "5")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		src := bytes.NewReader(b)
		br := bufio.NewReader(src)
		r, err := ReadRequest(br, Limits{})
		if err != nil {
			return
		}
		again, err := r.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		used := len(b) - src.Len() - br.Buffered()
		if !bytes.Equal(again, b[:used]) {
			t.Fatalf("% x does not survive a round trip: % x", b[:used], again)
		}
		if r.ContentLength < 0 {
			t.Fatalf("negative length from % x", b)
		}
	})
}
