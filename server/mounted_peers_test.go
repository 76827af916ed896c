package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// Whether the front end strips the prefix and says so (Apache, lighttpd), only says
// so, or knows nothing of it: the mounted app sees one and the same request, and its
// redirects lead back to it.
func TestAMountIsTheSameBehindEveryFrontEnd(t *testing.T) {
	t.Parallel()
	port := servertest.Port(t)
	i := servertest.Start(t, strings.NewReplacer("processes = 3", "processes = 1", `"$DIR/uwsgi"`, fmt.Sprintf(`"127.0.0.1:%d"`, port)).Replace(mounted), apps()...)
	nginx, apache, lighttpd := servertest.Port(t), servertest.Port(t), servertest.Port(t)
	servertest.Nginx(t, nginx, fmt.Sprintf(`server {
	listen 127.0.0.1:%d;
	uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $request_uri; uwsgi_param PATH_INFO $document_uri;
	uwsgi_param QUERY_STRING $query_string; uwsgi_param SERVER_PROTOCOL $server_protocol;
	location / { uwsgi_pass 127.0.0.1:%d; }
	location /t {
		uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $request_uri; uwsgi_param PATH_INFO $document_uri;
		uwsgi_param QUERY_STRING $query_string; uwsgi_param SERVER_PROTOCOL $server_protocol;
		uwsgi_param SCRIPT_NAME /t; uwsgi_pass 127.0.0.1:%[2]d;
	}
	location /p { proxy_pass http://unix:%[3]s/http:; }
}`, nginx, port, i.Dir))
	servertest.Apache(t, apache, fmt.Sprintf("AllowEncodedSlashes NoDecode\nProxyPass /t uwsgi://127.0.0.1:%d\nProxyPass / uwsgi://127.0.0.1:%[1]d/\n", port))
	servertest.Lighttpd(t, lighttpd, fmt.Sprintf(`scgi.protocol = "uwsgi"
scgi.server = ( "/t" => (( "host" => "127.0.0.1", "port" => %d, "check-local" => "disable" )),
	"/" => (( "host" => "127.0.0.1", "port" => %[1]d, "check-local" => "disable", "fix-root-scriptname" => "enable" )))
`, port))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	for name, port := range map[string]int{"nginx": nginx, "Apache": apache, "lighttpd": lighttpd} {
		for target, want := range map[string]string{
			"/t/x":        `200 "/t" "/x" ""`,
			"/t/deep/x y": `200 "/t/deep" "/x y" ""`,
			"/t/":         `200 "/t" "/" ""`,
			"/t":          `307 /t/`,
			"/t/deep?a=b": `307 /t/deep/?a=b`,
			"/tt/deep":    `200 `, // which nginx takes for its location /t
		} {
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, strings.ReplaceAll(target, " ", "%20")))
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 100)
			n, _ := resp.Body.Read(body) // one short write: all or nothing
			resp.Body.Close()
			got := fmt.Sprintf("%d %s", resp.StatusCode, body[:n])
			if to := resp.Header.Get("Location"); to != "" {
				got = fmt.Sprintf("%d %s", resp.StatusCode, to)
			}
			// A front end may make the address absolute.
			if got = strings.Replace(got, fmt.Sprintf("http://127.0.0.1:%d", port), "", 1); got != want {
				if name == "Apache" && target == "/t" && got == `200 "/t" "/" ""` {
					continue // it makes a slash of the nothing behind its ProxyPass, and tells nobody
				}
				t.Errorf("%s, %s: %s, want %s", name, target, got, want)
			}
		}
	}
}
