package uwsgi

import "strings"

// The lists of this file are a matter of speed only: what they say is what canonicalHeader
// would make, without making it. They are code and not maps: nothing to build at start, and
// nothing anybody could change.

// plainHeader returns the canonical name of a header from its variable's name without
// HTTP_, "" if it is not in the list. It lists only headers that addSpecial would pass on.
func plainHeader(name string) string {
	switch name {
	case "ACCEPT":
		return "Accept"
	case "ACCEPT_ENCODING":
		return "Accept-Encoding"
	case "ACCEPT_LANGUAGE":
		return "Accept-Language"
	case "AUTHORIZATION":
		return "Authorization"
	case "COOKIE":
		return "Cookie"
	case "IF_MODIFIED_SINCE":
		return "If-Modified-Since"
	case "IF_NONE_MATCH":
		return "If-None-Match"
	case "ORIGIN":
		return "Origin"
	case "PRIORITY":
		return "Priority"
	case "RANGE":
		return "Range"
	case "REFERER":
		return "Referer"
	case "UPGRADE_INSECURE_REQUESTS":
		return "Upgrade-Insecure-Requests"
	case "USER_AGENT":
		return "User-Agent"
	}
	switch {
	case strings.HasPrefix(name, "SEC_"):
		return browserHeader(name)
	case strings.HasPrefix(name, "X_"):
		return proxyHeader(name)
	}
	return ""
}

// browserHeader knows what browsers say of themselves.
func browserHeader(name string) string {
	switch name {
	case "SEC_CH_UA":
		return "Sec-Ch-Ua"
	case "SEC_CH_UA_MOBILE":
		return "Sec-Ch-Ua-Mobile"
	case "SEC_CH_UA_PLATFORM":
		return "Sec-Ch-Ua-Platform"
	case "SEC_FETCH_DEST":
		return "Sec-Fetch-Dest"
	case "SEC_FETCH_MODE":
		return "Sec-Fetch-Mode"
	case "SEC_FETCH_SITE":
		return "Sec-Fetch-Site"
	case "SEC_FETCH_USER":
		return "Sec-Fetch-User"
	case "SEC_GPC":
		return "Sec-Gpc"
	}
	return ""
}

// proxyHeader knows what proxies and scripts add.
func proxyHeader(name string) string {
	switch name {
	case "X_CSRF_TOKEN":
		return "X-Csrf-Token"
	case "X_FORWARDED_FOR":
		return "X-Forwarded-For"
	case "X_FORWARDED_HOST":
		return "X-Forwarded-Host"
	case "X_FORWARDED_PROTO":
		return "X-Forwarded-Proto"
	case "X_REAL_IP":
		return "X-Real-Ip"
	case "X_REQUESTED_WITH":
		return "X-Requested-With"
	case "X_REQUEST_ID":
		return "X-Request-Id"
	}
	return ""
}

// specialHeader knows those that are more than a header.
func specialHeader(name string) string {
	switch name {
	case "CACHE_CONTROL":
		return "Cache-Control"
	case "CONNECTION":
		return "Connection"
	case "CONTENT_LENGTH":
		return "Content-Length"
	case "CONTENT_TYPE":
		return "Content-Type"
	case "PRAGMA":
		return "Pragma"
	case "TRANSFER_ENCODING":
		return "Transfer-Encoding"
	case "UPGRADE":
		return "Upgrade"
	}
	return ""
}

// canonicalHeader is http.CanonicalHeaderKey of name with dashes for its underscores, ""
// if that names no header. It is written behind what mem holds while there is room.
func canonicalHeader(mem *strings.Builder, name string) string {
	if !validName(name) { // an underscore is as good as a dash here
		return ""
	}
	var own strings.Builder
	if room := mem.Cap() - mem.Len(); room < len(name) {
		mem = &own
		mem.Grow(len(name))
	}
	start := mem.Len()
	word := true // at its beginning
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_' || c == '-':
			c = '-'
		case word && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !word && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		mem.WriteByte(c)
		word = c == '-'
	}
	return mem.String()[start:]
}
