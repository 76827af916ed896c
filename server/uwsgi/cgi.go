package uwsgi

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// field is a variable that can occur only once by its nature.
type field struct {
	value string
	set   bool
}

// cgi holds the variables that the request is made from, sorted out in one pass.
type cgi struct {
	method, target, query  field
	pathInfo, scriptName   field
	protocol, contentType  field
	host, serverName, port field
	remoteAddr, remotePort field
	scheme, https          field
	contentLength          field
	chunked, sized         bool // how the client sent its body
	header                 http.Header
	connection, upgrade    []string // hop-by-hop, kept aside for a real upgrade
	mounted                bool     // modifier 30
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
	case "HTTP_HOST":
		return &c.host
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

// collect sorts the variables of r. A single variable that is repeated with another
// value is refused: the front end and we could pick different ones.
func collect(r *Request) (*cgi, error) {
	c := &cgi{
		header:  make(http.Header, len(r.Vars)/2),
		mounted: r.Header.Modifier1 == ModifierMounted,
	}
	for _, v := range r.Vars {
		if f := c.field(v.Name); f != nil {
			if f.set && f.value != v.Value {
				return nil, refuseRepeated(v.Name)
			}
			*f = field{v.Value, true}
			continue
		}
		if name, ok := strings.CutPrefix(v.Name, "HTTP_"); ok {
			if err := c.addHeader(name, v.Value); err != nil {
				return nil, err
			}
		}
	}
	return c, c.completeHeader()
}

// addHeader turns one HTTP_ variable back into a header value.
func (c *cgi) addHeader(name, value string) error {
	key := strings.ReplaceAll(name, "_", "-")
	if !validName(key) {
		return refuse(http.StatusBadRequest, "variable HTTP_%.64q names no header", name)
	}
	if !validValue(value) {
		return refuse(http.StatusBadRequest, "variable HTTP_%.64s has a control character in its value", name)
	}
	key = http.CanonicalHeaderKey(key)
	value = trimSpace(value)
	switch key {
	case "Connection":
		c.connection = append(c.connection, value)
	case "Upgrade":
		c.upgrade = append(c.upgrade, value)
	case "Content-Length":
		c.sized = true // CONTENT_LENGTH says how long
	case "Content-Type":
		// CONTENT_TYPE says this, and only it does.
	case "Transfer-Encoding":
		// nginx removes the chunks and leaves the header. There is no encoding here.
		c.chunked = true
	case "Proxy":
		// Would become the variable HTTP_PROXY of a CGI child ("httpoxy").
	case "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer":
		// Hop by hop: between the client and the front end.
	default:
		c.header[key] = append(c.header[key], value)
	}
	return nil
}

// completeHeader adds what is a header to net/http and a variable of its own here.
func (c *cgi) completeHeader() error {
	if v := trimSpace(c.contentType.value); v != "" {
		if !validValue(v) {
			return refuse(http.StatusBadRequest, "CONTENT_TYPE has a control character")
		}
		c.header["Content-Type"] = []string{v}
	}
	switch v := c.contentLength.value; {
	case v == "0" && !c.sized && !mayHaveBody(c.method.value):
		// lighttpd says so of every request; the client did not.
	case v != "":
		c.header["Content-Length"] = []string{v}
	case c.chunked:
		// uWSGI's http router passes such a request on without its body. A handler that
		// got an empty one would store it.
		return refuse(http.StatusLengthRequired, "the front end did not pass the chunked request body on")
	}
	// A websocket handler looks for these two. Every other use of Connection is over.
	if len(c.upgrade) > 0 && hasToken(c.connection, "upgrade") {
		c.header["Connection"] = []string{"Upgrade"}
		c.header["Upgrade"] = c.upgrade
	}
	// RFC 9111 5.4, as net/http does for a handler.
	if p := c.header["Pragma"]; len(p) > 0 && p[0] == "no-cache" && len(c.header["Cache-Control"]) == 0 {
		c.header["Cache-Control"] = []string{"no-cache"}
	}
	// net/http answers the same to an expectation it does not know.
	if e := c.header["Expect"]; len(e) > 0 && e[0] != "" && !hasToken(e, "100-continue") {
		return refuse(http.StatusExpectationFailed, "expectation %.32q is unknown", e[0])
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

// remote is always host:port, which handlers take apart with net.SplitHostPort. The host
// need be no address: nginx says "unix:" of a client on a unix socket.
func (c *cgi) remote(peer net.Addr) (string, error) {
	host := c.remoteAddr.value
	if host == "" {
		if peer == nil {
			return "", nil
		}
		return peer.String(), nil
	}
	if strings.ContainsAny(host, "[] ") || hasControl(host) {
		return "", refuse(http.StatusBadRequest, "REMOTE_ADDR %.64q is no address", host)
	}
	port := c.remotePort.value
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		port = "0"
	}
	return net.JoinHostPort(host, port), nil
}
