package frontends

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// early answers without a look at the body.
func early(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
	http.Error(w, "who are you?", http.StatusUnauthorized)
}

// An answer that is given before the upload was read reaches the client as it is: not
// as a 502 of the front end, nor as a reset.
func TestEarlyAnswersSurviveTheUpload(t *testing.T) {
	upload := request{name: "20 MiB", method: "POST", target: "/", body: strings.Repeat("0123456789abcdef", 20<<16)}
	for _, c := range []struct {
		status int
		config string
		text   string
	}{
		{401, "", "who are you?"},
		{413, "limit-post = \"1MiB\"\n", "limit-post"},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			_, s := startSite(t, "early", c.config)
			for name, start := range frontEnds() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					client := newCurl(t, start(t, s))
					for n := range 3 {
						got := client.send(t, upload)[0]
						if got.status != c.status || !strings.Contains(string(got.body), c.text) || got.cut {
							t.Errorf("upload %d: status %d, cut %t, %.80q", n, got.status, got.cut, got.body)
						}
					}
				})
			}
		})
	}
}

// frontEnds are those of the matrix that speak HTTP/1.1, and nginx without a buffer
// for uploads: then the server is answering while the client is still sending. uWSGI's
// router is left out: it passes the answer on and closes with the client's bytes unread
// (seen with strace), so that its own reset can overtake the answer.
func frontEnds() map[string]func(testing.TB, site) string {
	all := map[string]func(testing.TB, site) string{"nginx unbuffered": startUnbufferedNginx}
	for _, c := range columns() {
		if c.args == nil && c.name != router {
			all[c.name] = c.start
		}
	}
	return all
}

func startUnbufferedNginx(t testing.TB, s site) string {
	addr := address(t)
	servertest.Nginx(t, portOf(t, addr), "server { listen "+addr+"; client_max_body_size 0;\n"+
		snippet(t, "streaming.conf", "/run/site.sock", s.unix, "/events", "/")+"}")
	return "http://" + addr
}
