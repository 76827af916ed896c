package frontends

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// malformed is something that is no request, as it arrives on a uwsgi socket.
type malformed struct {
	name   string
	bytes  string
	status int    // of the answer
	cause  string // what the log line says
}

// vars is a whole packet: names and values, in turn.
func vars(modifier byte, pairs ...string) string {
	var block string
	for _, s := range pairs {
		block += sized(s)
	}
	return packet(modifier, len(block), block)
}

// packet need not be as long as it says.
func packet(modifier byte, size int, block string) string {
	return string([]byte{modifier, byte(size), byte(size >> 8), 0}) + block
}

func sized(s string) string {
	return string(binary.LittleEndian.AppendUint16(nil, uint16(len(s)))) + s
}

// with is a request that is right but for what is added.
func with(pairs ...string) string {
	return vars(0, append([]string{"REQUEST_METHOD", "POST", "REQUEST_URI", "/", "SERVER_PROTOCOL", "HTTP/1.1"}, pairs...)...)
}

func malformedInputs() []malformed {
	all := append(otherProtocols(), otherModifiers()...)
	all = append(all, brokenBlocks()...)
	all = append(all, brokenLengths()...)
	all = append(all, brokenFields()...)
	return append(all, brokenHeaders()...)
}

func otherProtocols() []malformed {
	var all []malformed
	for _, method := range strings.Fields("GET POST HEAD PUT DELETE OPTIONS PATCH PROPFIND CONNECT") {
		all = append(all, malformed{"HTTP " + method, method + " / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "spoken to in HTTP"})
	}
	return append(all, []malformed{
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "spoken to in HTTP"},
		{"an HTTP response", "HTTP/1.1 200 OK\r\n\r\n", 400, "spoken to in HTTP"},
		{"TLS 1.0 hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "spoken to in TLS"},
		{"TLS 1.2 hello", "\x16\x03\x03\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "spoken to in TLS"},
		{"FastCGI", "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", 400, "spoken to in FastCGI"},
		{"SCGI", "70:CONTENT_LENGTH\x0027\x00SCGI\x001\x00,", 400, "spoken to in SCGI"},
		{"PROXY protocol 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 400, "spoken to in the PROXY protocol"},
		{"PROXY protocol 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 400, "spoken to in the PROXY protocol"},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 501, "modifier1 83"},
		{"Redis", "*1\r\n$4\r\nPING\r\n", 501, "modifier1 42"},
		{"text", "hello\n", 501, "modifier1 104"},
		{"0xff", strings.Repeat("\xff", 64), 501, "modifier1 255"},
	}...)
}

func otherModifiers() []malformed {
	var all []malformed
	for _, m := range []byte{5, 9, 14, 17, 18, 22, 31, 48, 98, 101, 110, 111, 123, 173, 200, 224} {
		all = append(all, malformed{fmt.Sprintf("modifier %d", m), vars(m, "REQUEST_METHOD", "GET", "REQUEST_URI", "/"), 501, fmt.Sprintf("modifier1 %d", m)})
	}
	return all
}

func brokenBlocks() []malformed {
	whole := with()
	all := []malformed{
		{"one byte", "\x00", 400, "header ended after 1 of 4"},
		{"two bytes", "\x00\x01", 400, "header ended after 2 of 4"},
		{"three bytes", "\x00\x01\x00", 400, "header ended after 3 of 4"},
		{"empty block", packet(0, 0, ""), 400, "block of variables is empty"},
		{"empty block, modifier 30", packet(30, 0, ""), 400, "block of variables is empty"},
		{"header alone", packet(0, 1, ""), 400, "block ended after 0 of 1"},
		{"a block of one byte", packet(0, 1, "x"), 400, "block"},
		{"the largest block, cut", packet(0, 65535, strings.Repeat("x", 30000)), 400, "block ended after 30000 of 65535"},
		{"the largest block of zeros", packet(0, 65535, strings.Repeat("\x00", 65535)), 400, "has no name"},
		{"the largest block of 0xff", packet(0, 65535, strings.Repeat("\xff", 65535)), 400, "block"},
		{"a byte too many in the block", packet(0, len(whole)-4+1, whole[4:]+"\x00"), 400, "block"},
		{"a byte too few in the block", packet(0, len(whole)-5, whole[4:len(whole)-1]), 400, "block"},
		{"name without length of value", packet(0, 3, "\x01\x00a"), 400, "block"},
		{"half a length of value", packet(0, 4, "\x01\x00a\x01"), 400, "block"},
		{"value behind the end", packet(0, 6, "\x01\x00a\x02\x00b"), 400, "block"},
		{"name behind the end", packet(0, 3, "\x02\x00a"), 400, "block"},
		{"length of name behind the end", packet(0, 2, "\xff\xff"), 400, "block"},
		{"name of no length", vars(0, "", "x"), 400, "name"},
		{"name of no length at the end", with("", ""), 400, "name"},
	}
	for _, n := range []int{5, 20, len(whole) - 1} {
		all = append(all, malformed{fmt.Sprintf("cut after %d bytes", n), whole[:n], 400, "block ended"})
	}
	return all
}

func brokenLengths() []malformed {
	var all []malformed
	for _, n := range []string{"+5", "-5", "5 ", " 5", "0x5", "5,5", "5e0", "5.0", "five", "5\x00", "9223372036854775808",
		"18446744073709551617", strings.Repeat("9", 400), "\xd9\xa3"} {
		all = append(all, malformed{fmt.Sprintf("length %.24q", n), with("CONTENT_LENGTH", n), 400, "CONTENT_LENGTH"})
	}
	return append(all,
		malformed{"length -1", with("CONTENT_LENGTH", "-1"), 411, "CONTENT_LENGTH is -1"},
		malformed{"two lengths", with("CONTENT_LENGTH", "5", "CONTENT_LENGTH", "6"), 400, "CONTENT_LENGTH is given twice"},
		malformed{"length and none", with("CONTENT_LENGTH", "5", "CONTENT_LENGTH", ""), 400, "CONTENT_LENGTH is given twice"},
		malformed{"chunked body left behind", with("HTTP_TRANSFER_ENCODING", "chunked"), 411, "chunked"},
	)
}

func brokenFields() []malformed {
	request := func(method, uri, proto string) string {
		return vars(0, "REQUEST_METHOD", method, "REQUEST_URI", uri, "SERVER_PROTOCOL", proto)
	}
	all := []malformed{
		{"no method", vars(0, "REQUEST_URI", "/"), 400, "REQUEST_METHOD"},
		{"nothing asked for", vars(0, "REQUEST_METHOD", "GET"), 400, "REQUEST_URI"},
		{"only a foreign variable", vars(0, "UWSGI_FILE", "exec://id"), 400, "REQUEST_METHOD"},
	}
	for _, m := range []string{"", "GE T", "GET\r\n", "G\x00T", "(", "G\xc3\x89T", "GET /", "{}"} {
		all = append(all, malformed{fmt.Sprintf("method %q", m), request(m, "/", "HTTP/1.1"), 400, "REQUEST_METHOD"})
	}
	for _, u := range []string{"a", "http://[", "/%zz", "/%", "/%2", " ", "/\x00", "/a b\n", "/\x7f", "http://a b/", "://"} {
		all = append(all, malformed{fmt.Sprintf("target %q", u), request("GET", u, "HTTP/1.1"), 400, "REQUEST_URI"})
	}
	for _, p := range []string{"HTTP", "HTTP/", "HTTP/x.y", "FTP/1.0", "1.1", "http/1.1", "HTTP/1.1\n", "HTTP/11.1", "HTTP/-1.0"} {
		all = append(all, malformed{fmt.Sprintf("protocol %q", p), request("GET", "/", p), 400, "SERVER_PROTOCOL"})
	}
	for _, name := range []string{"REQUEST_METHOD", "REQUEST_URI", "SERVER_PROTOCOL"} {
		all = append(all, malformed{"another " + name, with(name, "/other"), 400, name + " is given twice"})
	}
	for _, name := range []string{"PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "REMOTE_ADDR", "CONTENT_TYPE", "HTTP_HOST", "HTTPS"} {
		all = append(all, malformed{"two of " + name, with(name, "/a", name, "/b"), 400, name + " is given twice"})
	}
	return append(all,
		malformed{"path without a slash", with("PATH_INFO", "x"), 400, "PATH_INFO"},
		malformed{"line end in the query", with("QUERY_STRING", "a\r\nb"), 400, "QUERY_STRING"},
		malformed{"port that is none", with("SERVER_NAME", "x", "SERVER_PORT", "80x"), 400, "SERVER_PORT"},
	)
}

func brokenHeaders() []malformed {
	var all []malformed
	for _, name := range []string{"", "A B", "A:", "A\r\nB", "\xc3\x84", "A\x00", "A(B)", "A/B"} {
		all = append(all, malformed{fmt.Sprintf("header named %q", name), with("HTTP_"+name, "v"), 400, "names no header"})
	}
	for _, value := range []string{"a\r\nX: b", "a\nb", "a\rb", "a\x00b", "\x7f", "\x01", "a\x1b[31m"} {
		all = append(all, malformed{fmt.Sprintf("header value %q", value), with("HTTP_X_A", value), 400, "control character"})
	}
	for _, host := range []string{"a b", "a/b", "a\x00", "<x>", "a@b", "a\r\nb", "a?b", "\xff"} {
		all = append(all, malformed{fmt.Sprintf("host %q", host), with("HTTP_HOST", host), 400, "host"})
	}
	return append(all,
		malformed{"type with a line end", with("CONTENT_TYPE", "a/b\r\nX: y"), 400, "CONTENT_TYPE"},
		malformed{"unknown expectation", with("HTTP_EXPECT", "miracles"), 417, "expectation"},
	)
}
