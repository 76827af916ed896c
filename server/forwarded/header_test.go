package forwarded

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// binaryHeader is a version 2 header with the length it has.
func binaryHeader(command, family byte, body string) string {
	b := append([]byte(binaryMark), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

const (
	body4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x1f\x90\x01\xbb" // 192.0.2.1:8080 to 10.0.0.1:443
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06" + "\x00\x50\x00\x51"
)

// headers maps whole headers to the source they name; "" is the connection's own.
func headers() map[string]string {
	return map[string]string{
		"PROXY TCP4 192.0.2.1 10.0.0.1 8080 443\r\n":                             "192.0.2.1:8080",
		"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n":                         "0.0.0.0:0",
		"PROXY TCP6 2001:db8::5 ::1 80 81\r\n":                                   "[2001:db8::5]:80",
		"PROXY TCP6 ::ffff:192.0.2.1 ::1 80 81\r\n":                              "192.0.2.1:80",
		"PROXY UNKNOWN\r\n":                                                      "",
		"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n":          "",
		"PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n":                      "",
		binaryHeader(commandProxy, inet4, body4):                                 "192.0.2.1:8080",
		binaryHeader(commandProxy, inet4, body4+"\x04\x00\x01x"):                 "192.0.2.1:8080",
		binaryHeader(commandProxy, inet6, body6):                                 "[2001:db8::5]:80",
		binaryHeader(commandProxy, inet6, body6+strings.Repeat("\x04", 4000)):    "[2001:db8::5]:80",
		binaryHeader(commandProxy, unspecified, "whatever"):                      "",
		binaryHeader(commandProxy, unixStream, strings.Repeat("\x00", 216)):      "",
		binaryHeader(commandLocal, unspecified, ""):                              "",
		binaryHeader(commandLocal, inet4, body4):                                 "",
		binaryHeader(commandLocal, 0x12, "a health check may say what it wants"): "",
	}
}

func TestHeadersNameTheSource(t *testing.T) {
	for wire, want := range headers() {
		source, n, err := parse([]byte(wire + "GET / HTTP/1.1\r\n"))
		got := ""
		if source.IsValid() {
			got = source.String()
		}
		if err != nil || n != len(wire) || got != want {
			t.Errorf("%q: %q, %d, %v; want %q, %d", wire, got, n, err, want, len(wire))
		}
		for short := range len(wire) {
			if _, _, err := parse([]byte(wire[:short])); err != errShort {
				t.Fatalf("%q: the first %d bytes: %v", wire, short, err)
			}
		}
	}
}

// malformed begin as a PROXY header does and are none.
func malformed() []string {
	return []string{
		"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 \r\n", "PROXY UNKNOWNS\r\n", "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "PROXY TCP4 1.1.1.1\t2.2.2.2 1 2\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
		"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
		"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "PROXY TCP4 1.1.1.1 two 1 2\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n" + strings.Repeat(" ", 80), "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n",
		binaryHeader(0x11, inet4, body4), binaryHeader(0x22, inet4, body4), binaryHeader(0x00, inet4, body4),
		binaryHeader(commandProxy, inet4, body4[:11]), binaryHeader(commandProxy, inet6, body6[:35]), binaryHeader(commandProxy, inet4, ""),
		binaryHeader(commandProxy, 0x12, body4), binaryHeader(commandProxy, 0x22, body6), binaryHeader(commandProxy, 0x10, body4),
		binaryHeader(commandProxy, 0x32, body4), binaryHeader(commandProxy, 0x41, body4), binaryHeader(commandProxy, 0xff, body4),
		binaryHeader(commandProxy, inet4, body4+strings.Repeat("\x04", 4096)),
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	for _, wire := range malformed() {
		if source, n, err := parse([]byte(wire)); err == nil || err == errShort || err == errNone || n != 0 || source.IsValid() {
			t.Errorf("%q: %v, %d, %v", wire, source, n, err)
		}
	}
}

func TestWhatIsNoHeaderIsLeftAlone(t *testing.T) {
	for _, wire := range []string{"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "PROXYX", "proxy TCP4", "PRI * HTTP/2.0\r\n", "\x16\x03\x01", "\r\nGET", "\r\n\r\n\x00\r\nQUIT\r"} {
		if _, n, err := parse([]byte(wire)); err != errNone || n != 0 {
			t.Errorf("%q: %d, %v", wire, n, err)
		}
	}
}

// Laws: never a panic; no more is consumed than is there, and no more than the limit; what
// was enough is enough with anything behind it; a source can be written and read again.
func FuzzParse(f *testing.F) {
	for wire := range headers() {
		f.Add([]byte(wire))
	}
	for _, wire := range malformed() {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		source, n, err := parse(b)
		if err != nil {
			if n != 0 || source.IsValid() {
				t.Fatalf("%v, %d with %v", source, n, err)
			}
			if err == errShort && len(b) > binaryMax {
				t.Fatalf("%d bytes are not enough", len(b))
			}
			return
		}
		if n <= 0 || n > len(b) || n > binaryMax {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		again, m, err := parse(append(bytes.Clone(b[:n]), "PROXY "...))
		if again != source || m != n || err != nil {
			t.Fatalf("%v, %d, %v with more behind it, was %v, %d", again, m, err, source, n)
		}
		if source.IsValid() {
			if back, err := netip.ParseAddrPort(source.String()); back != source || err != nil {
				t.Fatalf("%v: %v, %v", source, back, err)
			}
		}
	})
}
