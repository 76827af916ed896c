package proxyconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/config"
)

var update = flag.Bool("update", false, "rewrite testdata")

func parse(t *testing.T, text string) config.Config {
	t.Helper()
	cfg, err := config.Parse("/srv/site/site.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// deployment is one way to put a server behind front ends.
type deployment struct {
	name, toml string
	options    Options
	kinds      []string // nil: all
}

func deployments() []deployment {
	several := []Upstream{{Addr: "10.0.0.1:8000", Weight: 3}, {Addr: "10.0.0.2:8000"}, {Addr: "10.0.0.3:8000", Weight: 2, Backup: true}}
	even := []Upstream{{Addr: "10.0.0.1:8000"}, {Addr: "/run/site.sock"}}
	const static = "static-root = 'static'\nstatic-hashed = true\nstatic-map = '/c++.x=/srv/media'\n"
	return []deployment{
		{name: "uwsgi", toml: "module = 'site'\nsocket = '/run/site.sock'\nlimit-post = '75MiB'\nharakiri = '2m'\n" + static, kinds: []string{"nginx", "apache", "lighttpd"}},
		{name: "internal", toml: "module = 'site'\nsocket = '/run/site.sock'\naccel-redirect = '/private=/srv/private'\n", kinds: []string{"nginx"}},
		{name: "http", toml: "module = 'site'\nhttp-socket = '[::]:8000'\n"},
		{name: "static", toml: "module = 'site'\nhttp-socket = '0.0.0.0:8000'\n" + static},
		{name: "named", toml: "module = '2048'\nhttp-socket = ':8000'\n[[mount]]\npath = '/slow'\nmodule = 'slow'\nharakiri = '3m'\n",
			options: Options{ServerName: "site.example", Listen: "127.0.0.1:8080"}, kinds: []string{"nginx", "apache", "caddy"}},
		{name: "even", toml: "module = 'site'\nhttp-socket = ':8000'\n", options: Options{Upstreams: even}, kinds: []string{"nginx", "lighttpd", "haproxy", "caddy"}},
		{name: "several", toml: "module = 'site'\nhttp-socket = ':8000'\nlimit-post = '100kB'\n", options: Options{Upstreams: several}, kinds: []string{"nginx", "apache", "haproxy"}},
		{name: "several-uwsgi", toml: "module = 'site'\nsocket = '@site'\n", options: Options{Upstreams: several}, kinds: []string{"nginx", "apache"}},
	}
}

func (d deployment) fronts() []string {
	if d.kinds == nil {
		return Kinds()
	}
	return d.kinds
}

// The files under testdata are what the command prints. -update writes them.
func TestWhatIsWritten(t *testing.T) {
	for _, d := range deployments() {
		for _, kind := range d.fronts() {
			var got bytes.Buffer
			if err := Write(&got, kind, parse(t, d.toml), d.options); err != nil {
				t.Errorf("%s %s: %v", kind, d.name, err)
				continue
			}
			file := filepath.Join("testdata", kind+"-"+d.name+".conf")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s: %v, got\n%s", file, err, &got)
			}
		}
	}
}

// Every front end accepts what is written for it, with and without TLS.
func TestFrontEndsAcceptTheirConfiguration(t *testing.T) {
	cert, key := certificate(t)
	for _, kind := range Kinds() {
		requirePeer(t, checkerOf(kind).program)
		for _, d := range deployments() {
			for _, tls := range []bool{false, true} {
				o := d.options
				if tls {
					o.Cert, o.Key = cert, key
				}
				err := Check(t.Context(), kind, parse(t, d.toml), o)
				if unfit := !slices.Contains(d.fronts(), kind); unfit != (err != nil) {
					t.Errorf("%s %s, TLS %v: %v", kind, d.name, tls, err)
				}
			}
		}
	}
}

func requirePeer(t *testing.T, name string) {
	t.Helper()
	if _, err := find(name); err != nil && os.Getenv("OSTLER_REQUIRE_PEERS") != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
}

// certificate makes one whose key is in the file behind it, as HAProxy wants it.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"site.example"}, NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), keyPEM...)
	if err := errors.Join(os.WriteFile(cert, both, 0o600), os.WriteFile(key, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	const uwsgi, http = "socket = 'a'\n", "http-socket = ':80'\n"
	for name, c := range map[string]struct {
		kind, toml string
		options    Options
		want       string
	}{
		"unknown":           {"squid", http, Options{}, `no configuration for "squid", only for nginx, apache`},
		"uwsgi for caddy":   {"caddy", uwsgi, Options{}, "speaks http only"},
		"uwsgi for haproxy": {"haproxy", uwsgi, Options{}, "speaks http only"},
		"abstract":          {"nginx", "socket = '@a'\n", Options{}, "no front end can speak"},
		"half a pair":       {"nginx", http, Options{Cert: "/a"}, "belong together"},
		"injection":         {"nginx", http, Options{ServerName: "a; } evil {"}, "give a meaning"},
		"injected upstream": {"nginx", http, Options{Upstreams: []Upstream{{Addr: "/run/a;b"}}}, "give a meaning"},
		"two lines":         {"nginx", http, Options{ServerName: "a\nb"}, "give a meaning"},
		"injected port":     {"nginx", http, Options{Listen: "80;x"}, "give a meaning"},
		"injected file":     {"nginx", http, Options{Cert: "/a;b", Key: "/k"}, "give a meaning"},
		"injected folder":   {"nginx", http + "static-map = '/m=/a;b'\n", Options{}, "give a meaning"},
		"redirect":          {"apache", http + "accel-redirect = '/m=/a'\n", Options{}, "does not know X-Accel-Redirect"},
		"weight":            {"caddy", http, Options{Upstreams: []Upstream{{Addr: "a:80", Weight: 2}}}, "no weights"},
		"backup":            {"lighttpd", http, Options{Upstreams: []Upstream{{Addr: "a:80", Backup: true}}}, "no backup"},
		"host":              {"haproxy", http, Options{ServerName: "a"}, "answers for every host"},
		"port":              {"lighttpd", http, Options{Listen: "8080"}, "server.port"},
		"unix members":      {"apache", http, Options{Upstreams: []Upstream{{Addr: "a:80"}, {Addr: "/run/a"}}}, "takes no unix sockets"},
		"alone":             {"apache", http, Options{Standalone: true}, "only nginx"},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.kind, parse(t, c.toml), c.options); err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, &out)
		}
	}
}

// A prefix that stands for two folders, and one for everything, is left to the server, and so
// is the order in which it looks.
func TestFoldersOfOnePrefixAreTheServers(t *testing.T) {
	cfg := parse(t, "http-socket = ':80'\nstatic-root = 's'\nstatic-map = ['/static=/x', '/a=/y', '/a=/z', '/b=/w']\n")
	public, _ := aliases(cfg)
	if len(public) != 1 || public[0].URL != "/b/" {
		t.Errorf("%v", public)
	}
}

func TestTheNameIsAWord(t *testing.T) {
	for module, want := range map[string]string{"shop": "shop", "my shop": "my_shop", "店": "app", "2048": "2048"} {
		if got := nameOf(config.Config{Module: module}); got != want {
			t.Errorf("%q: %q, want %q", module, got, want)
		}
	}
}

func TestParseUpstream(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1:80":           "{10.0.0.1:80 0 false} <nil>",
		"a:80 weight=5":         "{a:80 5 false} <nil>",
		"/run/x weight=1":       "{/run/x 1 false} <nil>",
		"[::1]:80 backup":       "{[::1]:80 0 true} <nil>",
		"":                      "{ 0 false} an upstream is empty, want host:port",
		":80":                   `{ 0 false} upstream ":80": name the machine, as in 10.0.0.1:80`,
		"a:80 weight=0":         `{ 0 false} upstream "a:80 weight=0": weight is a number from 1 to 256`,
		"a:80 max_fails=1":      `{ 0 false} upstream "a:80 max_fails=1": "max_fails=1" is neither weight=N nor backup`,
		"http://a:80":           `{ 0 false} upstream: "http://a:80" is a URL, want host:port, a path or @name`,
		"10.0.0.1:80 weight=ab": `{ 0 false} upstream "10.0.0.1:80 weight=ab": weight is a number from 1 to 256`,
	} {
		u, err := ParseUpstream(text)
		if got := fmt.Sprint(u, " ", err); strings.Replace(got, "}  ", "} ", 1) != want && got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
