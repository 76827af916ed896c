package frontends

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
)

// The names of the front ends, as the documentation uses them.
const (
	direct    = "http"  // nothing in front: what every other column is compared with
	directH2  = "https" // nothing in front, TLS and HTTP/2
	nginxU    = "nginx"
	nginxTLS  = "nginx-h2"
	nginxHTTP = "nginx-http"
	apache    = "apache"
	lighttpd  = "lighttpd"
	router    = "uwsgi-http"
)

// site is the application's sockets, as a front end reaches them.
type site struct {
	unix, uwsgi, http, https string
}

// column is one way from curl to the application.
type column struct {
	name   string
	start  func(t testing.TB, s site) (base string)
	args   []string // of curl
	mounts bool     // has the prefix /app
	expect map[string]string
}

func columns() []column {
	overTLS := []string{"--http2", "--insecure"}
	tls := map[string]string{"Scheme": "https", "Proto": "HTTP/2.0"} // the point of these columns, no difference
	return []column{
		{name: direct, start: func(_ testing.TB, s site) string { return "http://" + s.http }},
		{name: directH2, start: func(_ testing.TB, s site) string { return "https://" + s.https }, args: overTLS, expect: tls},
		{name: nginxU, start: startNginx, mounts: true},
		{name: nginxTLS, start: startNginxTLS, args: overTLS, mounts: true, expect: tls},
		{name: nginxHTTP, start: startNginxHTTP, mounts: true},
		{name: apache, start: startApache, mounts: true},
		{name: lighttpd, start: startLighttpd, mounts: true},
		{name: router, start: startRouter},
	}
}

// sends tells which cases make sense in a column.
func (c column) sends(r request) bool {
	if c.expect["Proto"] == "HTTP/2.0" && (r.http10 || r.chunked) {
		return false // HTTP/2 has neither
	}
	if c.name == directH2 && r.name == "answer trailer" {
		return false // sent, but curl 7.88 shows none on HTTP/2 behind a Content-Length
	}
	return r.mounted == "" || c.mounts || c.name == direct
}

// startSite runs an application with every protocol, in one worker.
func startSite(t testing.TB, module string, more ...string) (*servertest.Instance, site) {
	s := site{uwsgi: address(t), http: address(t), https: address(t)}
	cert, key := certificate(t)
	i := servertest.Start(t, strings.Join(more, "")+fmt.Sprintf(`module = %q
processes = 1
threads = 32
socket = ["$DIR/app.sock", %q]
http-socket = %q
trusted-proxies = ["127.0.0.1"]
[[https-socket]]
address = %q
cert = %q
key = %q
`, module, s.uwsgi, s.http, s.https, cert, key), apps()...)
	s.unix = filepath.Join(i.Dir, "app.sock")
	return i, s
}

func address(t testing.TB) string { return fmt.Sprintf("127.0.0.1:%d", servertest.Port(t)) }

func portOf(t testing.TB, addr string) (port int) {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Sscan(p, &port)
	return port
}

// snippet is the configuration that docs/front-ends.md tells an operator to write,
// with the addresses of this run. The matrix runs what the document shows.
func snippet(t testing.TB, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

func startNginx(t testing.TB, s site) string {
	addr := address(t)
	servertest.Nginx(t, portOf(t, addr), snippet(t, "nginx.conf", "80;", addr+";", "/run/site.sock", s.unix))
	return "http://" + addr
}

func startNginxTLS(t testing.TB, s site) string {
	addr := address(t)
	cert, key := certificate(t)
	servertest.Nginx(t, portOf(t, addr), snippet(t, "nginx.conf",
		"80;", addr+" ssl http2;\n ssl_certificate "+cert+"; ssl_certificate_key "+key+";", "unix:/run/site.sock", s.uwsgi))
	return "https://" + addr
}

func startNginxHTTP(t testing.TB, s site) string {
	addr := address(t)
	servertest.Nginx(t, portOf(t, addr), snippet(t, "nginx-http.conf", "80;", addr+";", "127.0.0.1:8000", s.http))
	return "http://" + addr
}

func startApache(t testing.TB, s site) string {
	addr := address(t)
	servertest.Apache(t, portOf(t, addr), snippet(t, "apache.conf", "127.0.0.1:3031", s.uwsgi))
	return "http://" + addr
}

func startLighttpd(t testing.TB, s site) string {
	addr := address(t)
	servertest.Lighttpd(t, portOf(t, addr), snippet(t, "lighttpd.conf", "/run/site.sock", s.unix))
	return "http://" + addr
}

func startRouter(t testing.TB, s site) string {
	addr := address(t)
	servertest.Router(t, portOf(t, addr), s.unix, strings.Fields(snippet(t, "uwsgi.args"))...)
	return "http://" + addr
}

// certificate is for one run, signed by itself.
func certificate(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := servertest.Dir(t)
	return writePEM(t, dir, "CERTIFICATE", der), writePEM(t, dir, "PRIVATE KEY", secret)
}

func writePEM(t testing.TB, dir, kind string, der []byte) string {
	path := filepath.Join(dir, strings.ReplaceAll(kind, " ", "-")+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
