package frontends

import (
	"slices"
	"strings"
)

// reason explains a kind of difference to an operator. The matrix says what differs,
// exactly; this says why, and what to do where something can be done.
type reason struct {
	title, text string
	covers      func(difference) bool
}

func things(names ...string) func(difference) bool {
	return func(d difference) bool { return slices.Contains(names, d.thing) }
}

func inCases(names ...string) func(difference) bool {
	return func(d difference) bool {
		for _, c := range d.cases {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(c, n) }) {
				return false
			}
		}
		return true
	}
}

func only(column string, more func(difference) bool) func(difference) bool {
	return func(d difference) bool { return slices.Equal(d.columns, []string{column}) && more(d) }
}

// reasons are tried in this order; the first that covers a difference explains it.
func reasons() []reason {
	return []reason{
		{"What a proxy says over http",
			"Over http the front end is the client. What it knows of its own client comes in headers that it sets, in the place of those that the client may have forged. `trusted-proxies` makes them the request's `RemoteAddr`, `Host` and scheme; the headers stay.",
			only(nginxHTTP, func(d difference) bool {
				return d.thing == "Proto" || strings.HasPrefix(d.thing, "Header X-Forwarded-")
			})},
		{"Requests in absolute form", "Only proxies are asked so. Some front ends remove the host from `RequestURI`, or refuse. If there is another host in the header, ostler's http sockets refuse, and front ends pick one of the two.",
			inCases("absolute form")},
		{"A mount prefix over http",
			"`proxy_pass` with a path takes the prefix off and tells nobody what it was; the path is decoded and encoded again on the way. uwsgi keeps both.",
			only(nginxHTTP, inCases("mount,"))},
		{"Paths are cleaned",
			"Front ends merge slashes and resolve dot segments, also encoded ones, before their access rules look at the path; the handler routes by the same cleaned `URL.Path`. `RequestURI` is as the client sent it. A `ServeMux` therefore has nothing left to redirect. What goes above the root, carries a NUL, or is not about a path at all, some of them refuse themselves.",
			func(d difference) bool {
				return things("URL.Path", "URL.RawPath")(d) && !inCases("raw hash")(d) ||
					d.thing == "answer status" && inCases("dot segments", "encoded NUL", "route with", "raw hash", "OPTIONS *", "absolute form", "HTTP/1.0 without")(d)
			}},
		{"A fragment in the request line", "A browser never sends one. It is cut off.", inCases("raw hash")},
		{"UTF-8 and escapes that lighttpd minds",
			"lighttpd encodes raw bytes and lone `%` in a query, and refuses paths that are no UTF-8, control characters, and GET with a body. `server.http-parseopts` changes it (`url-invalid-utf8-reject`, `url-ctrls-reject`, `method-get-body`).",
			only(lighttpd, inCases("odd query", "raw UTF-8 query", "encoded invalid UTF-8", "raw invalid UTF-8", "encoded line end", "absolute form", "GET with body", "encoded NUL"))},
		{"The host",
			"Debian's `uwsgi_params` sends nginx's `$host`: lower case, without the port. On a port other than 80 and 443 copy that file and write `uwsgi_param HTTP_HOST $host:$server_port;` there instead. Do not add a second `HTTP_HOST` after the `include`: two different ones are refused. A client of HTTP/1.0 need not name a host; then it is the front end's name, or a refusal.",
			func(d difference) bool {
				return d.thing == "Host" || d.thing == "answer status" && inCases("HTTP/1.0 without")(d)
			}},
		{"Chunked uploads",
			"Over uwsgi a body has a length, so front ends store a chunked one first. Apache refuses it with 411. uWSGI's router would drop it without a word; ostler answers 411 in its place.",
			inCases("chunked")},
		{"Repeated headers",
			"Some front ends join the values, which means the same. Cookies joined with a comma do not, but no browser sends two Cookie headers on HTTP/1.1.",
			inCases("repeated")},
		{"Underscores and odd characters in header names",
			"In uwsgi `-` and `_` are the same. nginx and Apache drop such headers. **lighttpd and uWSGI's router pass `X_Auth_User` as `X-Auth-User`:** behind them, do not trust a header because the front end sets it, unless it removes the client's first.",
			inCases("underscore", "odd characters")},
		{"Headers between the client and the front end",
			"`Connection`, `TE`, `Expect`, `Trailer`, `Keep-Alive` and `Upgrade` are about one connection. They are not passed on, in either direction, but for an upgrade to a websocket.",
			inCases("Connection names", "TE", "expect 100", "unknown expectation", "answer hop-by-hop")},
		{"The header Proxy", "Dropped over uwsgi: in a CGI child it would become `HTTP_PROXY` (\"httpoxy\").", inCases("Proxy header")},
		{"Empty headers", "lighttpd drops headers without a value, both ways.", only(lighttpd, things("Header X-Empty", "answer header X-Empty"))},
		{"Methods", "Front ends keep TRACE to themselves, and lighttpd knows its methods by a list.", inCases("TRACE", "M-SEARCH")},
		{"SCRIPT_NAME", "Apache keeps the slash of the mount's own root. lighttpd matches its prefix without a boundary, so `/apple` is passed on as a mount too, at its own root.", things("SCRIPT_NAME")},
		{"Trailers", "uwsgi has none, and nginx takes none from its upstreams.", inCases("answer trailer")},
		{"The length of an answer", "lighttpd stores an answer to its end and then knows the length. `server.stream-response-body = 1` lets it through as it comes.", only(lighttpd, things("answer header Content-Length"))},
		{"HTTP/2 without a front end",
			"A header with a line break in it is dropped rather than mended, a target that cannot be parsed ends the stream rather than being answered.",
			only(directH2, func(difference) bool { return true })},
		{"No content", "nginx has no Content-Type on a 204 over HTTP/2.", only(nginxTLS, things("answer header Content-Type"))},
	}
}
