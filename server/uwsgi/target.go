package uwsgi

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// requestURI is the raw target the client sent. A minimal front end may give only the
// decoded parts; the target is then made from them.
func (c *cgi) requestURI() (string, error) {
	if c.target.value != "" {
		return c.target.value, nil
	}
	made := url.URL{Path: c.pathInfo.value, RawQuery: c.query.value}
	if !c.mounted || !underPrefix(made.Path, c.mount()) {
		made.Path = c.mount() + made.Path
	}
	if !strings.HasPrefix(made.Path, "/") {
		return "", refuse(http.StatusBadRequest, "neither REQUEST_URI nor PATH_INFO says what is asked for")
	}
	return made.RequestURI(), nil
}

// parseTarget does what net/http does with the target of a request line. u is zero.
func parseTarget(u *url.URL, method, target string) error {
	if parsePlain(u, target) {
		return nil
	}
	authority := method == http.MethodConnect && !strings.HasPrefix(target, "/")
	raw := target
	if authority {
		raw = "http://" + raw
	}
	parsed, err := url.ParseRequestURI(raw)
	if err != nil {
		return refuse(http.StatusBadRequest, "REQUEST_URI %.128q cannot be parsed", target)
	}
	*u = *parsed
	if authority {
		u.Scheme = ""
	}
	return nil
}

// What url.URL.EscapedPath leaves as it is.
const (
	plainLow  = digits | 1<<'$' | 1<<'&' | 1<<'+' | 1<<',' | 1<<'-' | 1<<'.' | 1<<'/' | 1<<':' | 1<<';' | 1<<'='
	plainHigh = letters | 1<<('@'-64) | 1<<('_'-64) | 1<<('~'-64)
)

// parsePlain is url.ParseRequestURI for most targets: a path that means what it says, and
// perhaps a query. For any other it leaves u alone.
func parsePlain(u *url.URL, target string) bool {
	if target == "" || target[0] != '/' {
		return false
	}
	for i := range len(target) {
		if in(plainLow, plainHigh, target[i]) {
			continue
		}
		query := target[i:]
		if query[0] != '?' || hasControl(query) {
			return false
		}
		u.Path, u.RawQuery, u.ForceQuery = target[:i], query[1:], query == "?"
		return true
	}
	u.Path = target
	return true
}

// route makes u the URL a handler routes by.
//
// REQUEST_URI is what the client sent, PATH_INFO is what the front end made of it:
// decoded, normalised, rewritten, its mount prefix removed or not. Its access rules
// were applied to that, so PATH_INFO decides. RawPath survives only if it is still an
// encoding of the path, and PATH_INFO is never decoded again.
func (c *cgi) route(u *url.URL) error {
	if c.query.set && c.query.value != u.RawQuery {
		if hasControl(c.query.value) {
			return refuse(http.StatusBadRequest, "QUERY_STRING has a control character")
		}
		u.RawQuery = c.query.value
	}
	to := c.routePath(u.Path)
	if u.Host != "" {
		// uWSGI's http router does not take an absolute target apart.
		to = strings.TrimPrefix(to, u.Scheme+"://"+u.Host)
	}
	if to == u.Path {
		return nil
	}
	if to != "" && to[0] != '/' {
		return refuse(http.StatusBadRequest, "PATH_INFO %.64q is no path", to)
	}
	u.Path, u.RawPath = to, rawSuffix(u, to)
	return nil
}

// routePath is PATH_INFO without the mount prefix, given the decoded path of the
// target.
func (c *cgi) routePath(asked string) string {
	mount, info := c.mount(), c.pathInfo.value
	if info == "" && (mount == "" || !c.pathInfo.set) {
		// lighttpd without a prefix sends the whole path as SCRIPT_NAME and no
		// PATH_INFO: SCRIPT_NAME is no mount then.
		if !c.mounted {
			return asked
		}
		info = asked
	}
	if mount == "" || !underPrefix(info, mount) {
		return info
	}
	// PATH_INFO begins like the mount: an inner path of the same name, already
	// stripped (Apache), or not stripped yet (nginx)? The target tells. It is compared
	// cleaned, because the front end may have merged slashes and resolved dots, and
	// "/app//x" must not route differently from "/app/x".
	if !c.mounted && path.Clean(mount+info) == path.Clean(asked) {
		return info
	}
	return info[len(mount):]
}

// mount is SCRIPT_NAME as a prefix: no slash at its end, "" at the root.
func (c *cgi) mount() string {
	return strings.TrimRight(c.scriptName.value, "/")
}

// underPrefix matches at a path boundary only: /app is not a prefix of /apple.
func underPrefix(p, prefix string) bool {
	rest, ok := strings.CutPrefix(p, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// rawSuffix returns the end of u's raw path that encodes to, "" if the usual encoding
// of to says the same or if to is not the end of u's path.
func rawSuffix(u *url.URL, to string) string {
	if u.RawPath == "" || !strings.HasSuffix(u.Path, to) {
		return ""
	}
	raw := u.RawPath
	for range len(u.Path) - len(to) {
		if raw[0] == '%' {
			raw = raw[3:] // ParseRequestURI has checked the two digits
		} else {
			raw = raw[1:]
		}
	}
	if usual := (&url.URL{Path: to}); usual.EscapedPath() == raw {
		return ""
	}
	return raw
}
