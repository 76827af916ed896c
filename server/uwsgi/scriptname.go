package uwsgi

import (
	"net/http"
	"path"
	"strings"
)

// ScriptName returns the prefix under which the front end mounts the application, and
// which stands before r.URL.Path in the client's view: SCRIPT_NAME without a slash at its
// end. It is "" at the root, if r was not served by this package, and if SCRIPT_NAME is no
// prefix: lighttpd puts the whole path there.
func ScriptName(r *http.Request) string {
	if info := infoOf(r); info != nil {
		return info.prefix
	}
	return ""
}

// prefix is mount in the cases in which routePath takes it for one; asked is the decoded
// path of the target. It begins with one slash: with two, a link made with it would lead
// to another host.
func (c *cgi) prefix(asked string) string {
	m := c.mount()
	if !strings.HasPrefix(m, "/") || !c.pathInfo.set && !c.mounted || c.besideMount(m, asked) {
		return ""
	}
	return "/" + strings.TrimLeft(m, "/")
}

// besideMount reports that the front end stripped nothing, and that there was nothing to
// strip: a location /app of nginx takes /apple too, and calls it SCRIPT_NAME /app.
func (c *cgi) besideMount(mount, asked string) bool {
	info := c.pathInfo.value
	if underPrefix(info, mount) {
		return false
	}
	if info == "" && c.mounted {
		info = asked
	}
	return info != "" && path.Clean(info) == path.Clean(asked) && !underPrefix(info, mount)
}
