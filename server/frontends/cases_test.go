package frontends

import (
	"fmt"
	"strings"
)

// request is one case: what a client asks for, whatever is in front of the server.
type request struct {
	name    string
	method  string // "" is GET
	target  string // as it stands in the request line
	header  []string
	body    string
	chunked bool   // send the body so
	http10  bool   // speak HTTP/1.0
	mounted string // the mount prefix this request is below, for front ends that have it
}

func get(name, target string, header ...string) request {
	return request{name: name, target: target, header: header}
}

// requests are all the cases of the matrix. Names are unique: they are its row names.
func requests() []request {
	all := append(targets(), methods()...)
	all = append(all, bodies()...)
	all = append(all, headers()...)
	all = append(all, mounts()...)
	return append(all, answers()...)
}

func targets() []request {
	return []request{
		get("root", "/"),
		get("query", "/a/b?q=1&q=2"),
		get("empty query", "/a?"),
		get("question mark in query", "/a?b?c"),
		get("odd query", "/a?q=%zz&%C3%A9=%2F&&="),
		get("raw UTF-8 query", "/a?q=é"),
		get("plus", "/a+b?c+d"),
		get("encoded space", "/a%20b"),
		get("encoded slash", "/a%2Fb/c"),
		get("encoded slash, lower case", "/a%2fb/c"),
		get("encoded backslash", "/a%5Cb"),
		get("raw backslash", `/a\b`),
		get("dot segments", "/a/../b/./c"),
		get("dot segments beyond the root", "/../../etc/passwd"),
		get("encoded dot segments", "/a/%2e%2e/b"),
		get("dot at the end", "/a/b/."),
		get("double slashes", "/a//b///c"),
		get("leading double slash", "//a/b"),
		get("encoded UTF-8", "/%C3%A9"),
		get("raw UTF-8", "/é"),
		get("encoded invalid UTF-8", "/%ff%fe"),
		get("raw invalid UTF-8", "/\xff"),
		get("encoded letter", "/%41%7Eb"),
		get("encoded percent", "/a%2525"),
		get("encoded question mark and hash", "/a%3Fb%23c"),
		get("raw hash", "/a#b"),
		get("punctuation", "/a;v=1/b:c@d/!$&'()*,=~"),
		get("encoded NUL", "/a%00b"),
		get("encoded line end", "/a%0D%0Ab"),
		get("broken escape", "/a%zz"),
		get("long path", "/"+strings.Repeat("abcdefg/", 375)),
		get("long query", "/a?q="+strings.Repeat("0123456789", 600)),
		get("absolute form", "http://other.example/abs?x=1", "Host: other.example"),
		get("absolute form, other host", "http://other.example/abs?x=1"),
		get("route", "/route/42/a/b"),
		get("route with encoded slash", "/route/a%2Fb/c%20d"),
		get("route with double slash", "/route/42//b"),
		get("route with dot segment", "/route/42/a/../b"),
	}
}

func methods() []request {
	return []request{
		{name: "HEAD", method: "HEAD", target: "/a"},
		{name: "DELETE", method: "DELETE", target: "/a"},
		{name: "OPTIONS", method: "OPTIONS", target: "/a"},
		{name: "OPTIONS *", method: "OPTIONS", target: "*"},
		{name: "PROPFIND", method: "PROPFIND", target: "/a"},
		{name: "M-SEARCH", method: "M-SEARCH", target: "/a"},
		{name: "TRACE", method: "TRACE", target: "/a"},
	}
}

func bodies() []request {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	post := func(name, body string, header ...string) request {
		return request{name: name, method: "POST", target: "/post", body: body, header: header}
	}
	chunked := func(r request) request {
		r.chunked = true
		return r
	}
	return []request{
		post("form", "a=1&b=%2F+x", "Content-Type: application/x-www-form-urlencoded"),
		post("multipart", "--x\r\n\r\n\r\n--x--\r\n", `Content-Type: multipart/form-data; boundary="x"`),
		post("every byte", string(all), "Content-Type: application/octet-stream"),
		post("empty body", "", "Content-Length: 0"),
		post("1 MiB body", strings.Repeat("0123456789abcdef", 64<<10), "Content-Type: text/plain"),
		post("body that looks like a request", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "Content-Type: text/plain"),
		post("expect 100-continue", "waited", "Content-Type: text/plain", "Expect: 100-continue"),
		post("body without a type", "what is this"),
		{name: "PUT", method: "PUT", target: "/put", body: "put this"},
		{name: "PATCH", method: "PATCH", target: "/patch", body: `{"a":1}`, header: []string{"Content-Type: application/json"}},
		{name: "GET with body", target: "/get", body: "unusual"},
		chunked(post("chunked", "sent in chunks", "Content-Type: text/plain")),
		chunked(post("chunked and empty", "", "Content-Type: text/plain")),
		chunked(post("chunked 200 KiB", strings.Repeat("0123456789abcdef", 12800), "Content-Type: text/plain")),
	}
}

func headers() []request {
	many := make([]string, 60)
	for i := range many {
		many[i] = fmt.Sprintf("X-N%d: %d", i, i)
	}
	large := make([]string, 20)
	for i := range large {
		large[i] = fmt.Sprintf("X-L%d: %s", i, strings.Repeat("x", 1000))
	}
	return []request{
		get("usual headers", "/h", "Accept: text/html, */*;q=0.8", "Accept-Language: de", "Accept-Encoding: gzip, br",
			"User-Agent: Mozilla/5.0 (X11)", "Referer: http://example.com/a?b", "Dnt: 1"),
		get("conditional headers", "/h", `If-None-Match: "v1"`, "If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT", "Range: bytes=0-1"),
		get("repeated header", "/h", "X-Twice: one", "X-Twice: two"),
		get("repeated cookie", "/h", "Cookie: a=1", "Cookie: b=2"),
		get("empty header", "/h", "X-Empty;"),
		get("space around a value", "/h", "X-Space:  \t a  b \t "),
		get("Latin-1 in a value", "/h", "X-Latin: caf\xe9"),
		get("UTF-8 in a value", "/h", "X-Utf8: café"),
		get("underscore in a name", "/h", "X_Under: 1", "X-Dash: 2"),
		get("underscore shadows dash", "/h", "X-Auth-User: real", "X_Auth_User: forged"),
		get("odd characters in a name", "/h", "X!#$'*.^`|~: 1"),
		get("Proxy header", "/h", "Proxy: http://evil.example"),
		get("Authorization", "/h", "Authorization: Basic YTpi"),
		get("X-Forwarded headers", "/h", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: forged.example"),
		get("TE", "/h", "TE: trailers"),
		get("Connection names a header", "/h", "Connection: X-Hop", "X-Hop: 1"),
		get("Pragma", "/h", "Pragma: no-cache"),
		get("60 headers", "/h", many...),
		get("20 KiB of headers", "/h", large...),
		get("host with port", "/h", "Host: example.com:8080"),
		get("host in capitals", "/h", "Host: EXAMPLE.com"),
		get("host is an IPv6 address", "/h", "Host: [::1]:80"),
		get("unknown expectation", "/h", "Expect: miracle"),
		{name: "HTTP/1.0", target: "/h", http10: true},
		{name: "HTTP/1.0 without a host", target: "/h", http10: true, header: []string{"Host:"}},
	}
}

// mounts are below the prefix that every front end but the direct ones mounts the
// application under: /app.
func mounts() []request {
	mount := func(name, target string) request {
		return request{name: name, target: target, mounted: "/app"}
	}
	return []request{
		mount("mount, inside", "/app/x/y?q=1"),
		mount("mount, its root", "/app/"),
		mount("mount, encoded slash inside", "/app/a%2Fb"),
		mount("mount, encoded space inside", "/app/a%20b"),
		mount("mount, double slash inside", "/app//x"),
		mount("mount, dot segments inside", "/app/a/../b"),
		mount("mount, same name inside", "/app/app/x"),
		get("mount, only a longer name", "/apple"),
	}
}

// aborted is the case whose answer must look broken to the client.
const aborted = "answer aborted"

func answers() []request {
	var all []request
	for _, kind := range strings.Fields(`empty short sized large flushed status-204 status-304 status-404 status-500
		status-503 status-299 status-599 redirect redirect-away cookies headers own-date gzip hop-by-hop early-hints
		trailer panic aborted`) {
		all = append(all, get("answer "+kind, "/answer/"+kind))
	}
	all = append(all, get("answer range", "/answer/range", "Range: bytes=2-4"))
	for _, kind := range []string{"empty", "short", "sized", "large", "flushed", "status-204", "status-404"} {
		all = append(all, request{name: "HEAD of answer " + kind, method: "HEAD", target: "/answer/" + kind})
	}
	return append(all, request{name: "HTTP/1.0 answer flushed", target: "/answer/flushed", http10: true})
}
