package uwsgi

import (
	"net"
	"net/http"
	"strings"
)

// field is a variable that can occur only once by its nature.
type field struct {
	value string
	set   bool
}

// cgi holds the variables that the request is made from.
type cgi struct {
	method, target, query  field
	pathInfo, scriptName   field
	protocol, contentType  field
	host, serverName, port field
	remoteAddr, remotePort field
	scheme, https          field
	contentLength          field

	headers         headerList
	pragma, expect  field // the first of each, also among the headers
	cacheControl    bool  // among the headers
	continues       bool  // some Expect is 100-continue
	chunked, sized  bool  // how the client sent its body
	upgrade, asksUp bool  // the two halves of an upgrade; an Upgrade is among the headers

	mounted    bool   // modifier 30
	remote     string // host:port, unchecked
	twoLengths bool   // CONTENT_LENGTH says two things
	invalid    error  // the first thing that makes it no request
}

// field returns where a variable belongs, nil if it is not one of ours. UWSGI_* are
// deliberately not here: what they make uWSGI do (load code, change directory, open
// files) is nothing a peer may ask for.
func (c *cgi) field(name string) *field {
	switch name {
	case "REQUEST_METHOD":
		return &c.method
	case "REQUEST_URI":
		return &c.target
	case "QUERY_STRING":
		return &c.query
	case "PATH_INFO":
		return &c.pathInfo
	case "SCRIPT_NAME":
		return &c.scriptName
	case "SERVER_PROTOCOL":
		return &c.protocol
	case "CONTENT_TYPE":
		return &c.contentType
	case "CONTENT_LENGTH":
		return &c.contentLength
	case "SERVER_NAME":
		return &c.serverName
	case "SERVER_PORT":
		return &c.port
	case "REMOTE_ADDR":
		return &c.remoteAddr
	case "REMOTE_PORT":
		return &c.remotePort
	case "REQUEST_SCHEME":
		return &c.scheme
	case "HTTPS":
		return &c.https
	}
	return nil
}

// sort puts a variable where it belongs.
func (c *cgi) sort(mem *strings.Builder, name, value string) {
	if len(name) < len("HTTP_") || name[:len("HTTP_")] != "HTTP_" {
		if f := c.field(name); f != nil {
			c.set(f, name, value)
		}
		return
	}
	header := name[len("HTTP_"):]
	if key := plainHeader(header); key != "" && validValue(value) {
		c.headers.add(key, trimSpace(value))
	} else if header == "HOST" {
		c.set(&c.host, name, value)
	} else if c.invalid == nil {
		c.invalid = c.addSpecial(mem, header, value)
	}
}

// set refuses a single variable that is repeated with another value: the front end and we
// could pick different ones.
func (c *cgi) set(f *field, name, value string) {
	if f.set && f.value != value {
		c.twoLengths = c.twoLengths || f == &c.contentLength
		if c.invalid == nil {
			c.invalid = refuseRepeated(name)
		}
	}
	*f = field{value, true}
}

// bodyLength is strict: the number decides where the body ends, and two readers who
// disagree about it are the root of request smuggling.
func (c *cgi) bodyLength() (int64, error) {
	if c.twoLengths {
		return 0, refuseRepeated("CONTENT_LENGTH")
	}
	value := c.contentLength.value
	switch value {
	case "":
		return 0, nil
	case "-1":
		// lighttpd says this when it streams a body whose length it does not know yet.
		return 0, refuse(http.StatusLengthRequired,
			"CONTENT_LENGTH is -1, the front end must buffer bodies of unknown length")
	}
	n, ok := parseDigits(value)
	if !ok {
		return 0, refuse(http.StatusBadRequest, "CONTENT_LENGTH %.32q is not a number of bytes", value)
	}
	return n, nil
}

// addSpecial turns one HTTP_ variable back into a header value, or into what it means.
func (c *cgi) addSpecial(mem *strings.Builder, name, value string) error {
	key := specialHeader(name)
	if key == "" {
		key = canonicalHeader(mem, name)
	}
	if key == "" {
		return refuse(http.StatusBadRequest, "variable HTTP_%.64q names no header", name)
	}
	if !validValue(value) {
		return refuse(http.StatusBadRequest, "variable HTTP_%.64s has a control character in its value", name)
	}
	value = trimSpace(value)
	switch key {
	case "Connection":
		c.asksUp = c.asksUp || hasToken(value, "upgrade")
		return nil
	case "Content-Length":
		c.sized = true // CONTENT_LENGTH says how long
		return nil
	case "Content-Type":
		return nil // CONTENT_TYPE says this, and only it does.
	case "Transfer-Encoding":
		// nginx removes the chunks and leaves the header. There is no encoding here.
		c.chunked = true
		return nil
	case "Proxy":
		return nil // Would become the variable HTTP_PROXY of a CGI child ("httpoxy").
	case "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer":
		return nil // Hop by hop: between the client and the front end.
	case "Upgrade":
		c.upgrade = true
	case "Pragma":
		c.pragma.setFirst(value)
	case "Cache-Control":
		c.cacheControl = true
	case "Expect":
		c.expect.setFirst(value)
		c.continues = c.continues || hasToken(value, "100-continue")
	}
	c.headers.add(key, value)
	return nil
}

func (f *field) setFirst(value string) {
	if !f.set {
		*f = field{value, true}
	}
}

// completeHeaders adds what is a header to net/http and a variable of its own here.
func (c *cgi) completeHeaders() error {
	if v := trimSpace(c.contentType.value); v != "" {
		if !validValue(v) {
			return refuse(http.StatusBadRequest, "CONTENT_TYPE has a control character")
		}
		c.headers.add("Content-Type", v)
	}
	switch v := c.contentLength.value; {
	case v == "0" && !c.sized && !mayHaveBody(c.method.value):
		// lighttpd says so of every request; the client did not.
	case v != "":
		c.headers.add("Content-Length", v)
	case c.chunked:
		// uWSGI's http router passes such a request on without its body. A handler that
		// got an empty one would store it.
		return refuse(http.StatusLengthRequired, "the front end did not pass the chunked request body on")
	}
	// A websocket handler looks for these two. Every other use of Connection is over.
	switch {
	case c.upgrade && c.asksUp:
		c.headers.add("Connection", "Upgrade")
	case c.upgrade:
		c.headers.drop("Upgrade")
	}
	// RFC 9111 5.4, as net/http does for a handler.
	if c.pragma.value == "no-cache" && !c.cacheControl {
		c.headers.add("Cache-Control", "no-cache")
	}
	// net/http answers the same to an expectation it does not know.
	if c.expect.value != "" && !c.continues {
		return refuse(http.StatusExpectationFailed, "expectation %.32q is unknown", c.expect.value)
	}
	return nil
}

func mayHaveBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// version maps SERVER_PROTOCOL. Front ends report what their client spoke, so HTTP/2
// and HTTP/3 appear here although this connection never carries them.
func (c *cgi) version() (proto string, major, minor int, err error) {
	proto = c.protocol.value
	switch proto {
	case "", "INCLUDED": // nothing said, or a server-side include (RFC 3875 4.1.16)
		return "HTTP/1.0", 1, 0, nil
	case "HTTP/2", "HTTP/3":
		proto += ".0"
	}
	major, minor, ok := http.ParseHTTPVersion(proto)
	if !ok {
		return "", 0, 0, refuse(http.StatusBadRequest, "SERVER_PROTOCOL %.32q is no HTTP version", proto)
	}
	return proto, major, minor, nil
}

// hostname prefers what the client asked for to what the front end is called. "_" is
// how nginx says that it has no name either.
func (c *cgi) hostname() (string, error) {
	host := trimSpace(c.host.value)
	if host == "" && c.serverName.value != "_" {
		host = c.serverName.value
		if p := c.port.value; host != "" && p != "" && p != defaultPort(c.isTLS()) {
			if _, ok := parseDigits(p); !ok {
				return "", refuse(http.StatusBadRequest, "SERVER_PORT %.32q is no port", p)
			}
			host += ":" + p
		}
	}
	if host == "_" {
		return "", nil
	}
	if !validHost(host) {
		return "", refuse(http.StatusBadRequest, "host %.64q is malformed", host)
	}
	return host, nil
}

func defaultPort(tls bool) string {
	if tls {
		return "443"
	}
	return "80"
}

// isTLS believes either variable: REQUEST_SCHEME is what the front end saw, HTTPS is
// also how an operator says that TLS ended further out. Cherokee sends HTTPS=off, so
// its presence alone means nothing.
func (c *cgi) isTLS() bool {
	if strings.EqualFold(c.scheme.value, "https") {
		return true
	}
	switch strings.ToLower(c.https.value) {
	case "on", "1", "true":
		return true
	}
	return false
}

// joinRemote writes the client's host:port into mem, so that it costs no allocation.
func (c *cgi) joinRemote(mem *strings.Builder) {
	host, port := c.remoteAddr.value, c.remotePort.value
	if host == "" {
		return
	}
	if n, ok := parseDigits(port); !ok || n > 1<<16-1 {
		port = "0"
	}
	if mem.Cap()-mem.Len() < len(host)+len(port)+len("[]:") {
		c.remote = net.JoinHostPort(host, port)
		return
	}
	start := mem.Len()
	if strings.IndexByte(host, ':') < 0 {
		mem.WriteString(host)
	} else { // as net.JoinHostPort
		mem.WriteByte('[')
		mem.WriteString(host)
		mem.WriteByte(']')
	}
	mem.WriteByte(':')
	mem.WriteString(port)
	c.remote = mem.String()[start:]
}

// remoteOr is always host:port, which handlers take apart with net.SplitHostPort. The host
// need be no address: nginx says "unix:" of a client on a unix socket.
func (c *cgi) remoteOr(conn addresser) (string, error) {
	host := c.remoteAddr.value
	if host == "" {
		if peer := conn.RemoteAddr(); peer != nil {
			return peer.String(), nil
		}
		return "", nil
	}
	for i := range len(host) {
		if c := host[i]; c == '[' || c == ']' || c == ' ' || isControl(c) {
			return "", refuse(http.StatusBadRequest, "REMOTE_ADDR %.64q is no address", host)
		}
	}
	return c.remote, nil
}

// addresser is a connection. Its peer's address may cost something, and is hardly needed.
type addresser interface{ RemoteAddr() net.Addr }
