package uwsgi

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// vars says what nginx's stock uwsgi_params say, for a request whose client is this
// process. PATH_INFO is decoded but not normalised.
func (c *Client) vars(req *http.Request, length int64, local net.Addr) Vars {
	target := req.URL.RequestURI()
	path, query := req.URL.Path, req.URL.RawQuery
	if u, err := url.ParseRequestURI(target); err == nil {
		path, query = u.Path, u.RawQuery // of an Opaque, for a target sent as it is
	}
	scheme := "http"
	if req.URL.Scheme == "https" {
		scheme = "https"
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	name, port := splitHost(host, scheme == "https")

	vs := make(Vars, 0, 16+len(req.Header)+len(c.Vars))
	add := func(name, value string) {
		if _, given := c.Vars.Lookup(name); !given {
			vs.Add(name, value)
		}
	}
	add("QUERY_STRING", query)
	add("REQUEST_METHOD", methodOf(req))
	add("CONTENT_TYPE", req.Header.Get("Content-Type"))
	add("CONTENT_LENGTH", lengthOf(req, length))
	add("REQUEST_URI", target)
	add("PATH_INFO", path)
	add("SERVER_PROTOCOL", "HTTP/1.1")
	add("REQUEST_SCHEME", scheme)
	if scheme == "https" {
		add("HTTPS", "on")
	}
	addr, addrPort := remoteOf(local)
	add("REMOTE_ADDR", addr)
	add("REMOTE_PORT", addrPort)
	add("SERVER_PORT", port)
	add("SERVER_NAME", name)
	add("HTTP_HOST", host)
	for _, key := range sortedKeys(req.Header) {
		name := "HTTP_" + strings.ReplaceAll(strings.ToUpper(key), "-", "_")
		for _, v := range req.Header[key] {
			add(name, v)
		}
	}
	return append(vs, c.Vars...)
}

// sortedKeys leaves out what has a variable of its own.
func sortedKeys(h http.Header) []string {
	keys := make([]string, 0, len(h))
	for k := range h {
		switch k {
		case "Host", "Content-Type", "Content-Length":
		default:
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// lengthOf is empty for "no body", as nginx has it, and "0" for an empty one.
func lengthOf(req *http.Request, n int64) string {
	if n == 0 && req.Body == nil {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func splitHost(host string, tls bool) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	return strings.Trim(host, "[]"), defaultPort(tls)
}

func remoteOf(local net.Addr) (addr, port string) {
	if a, ok := local.(*net.TCPAddr); ok {
		return a.IP.String(), strconv.Itoa(a.Port)
	}
	return "unix:", "" // what nginx says of a client on a unix socket
}
