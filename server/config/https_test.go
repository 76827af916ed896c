package config

import (
	"reflect"
	"testing"
)

func TestHTTPSSocketsTakeTheirPlaceAmongTheOthers(t *testing.T) {
	c := mustParse(t, `http-socket = "127.0.0.1:1"
chdir = "/etc/tls"
[[https-socket]]
address = ":443"
cert = "site.pem"
key = "site.pem"    # both in one file
[[https-socket]]
key = "/k"
cert = "site.pem"   # shared
address = "tls.sock"
`)
	want := []Socket{
		tcp("http", "127.0.0.1:1"),
		{"https", Address{"tcp", ":443"}, "/etc/tls/site.pem", "/etc/tls/site.pem"},
		{"https", Address{"unix", "/etc/tls/tls.sock"}, "/etc/tls/site.pem", "/k"},
	}
	if !reflect.DeepEqual(c.Sockets, want) {
		t.Fatalf("got %+v, want %+v", c.Sockets, want)
	}
}

func TestAnHTTPSSocketIsEnough(t *testing.T) {
	c := mustParse(t, "[[https-socket]]\naddress = ':443'\ncert = 'a'\nkey = 'b'\n")
	if len(c.Sockets) != 1 || c.Sockets[0].Proto != "https" {
		t.Fatalf("got %+v", c.Sockets)
	}
}

func TestEveryMistakeInAnHTTPSSocketIsReportedWithItsLine(t *testing.T) {
	wantErrors(t, `pidfile = "site.key"
http-socket = ":443"
[[https-socket]]
address = ":443"
cert = "site.pem"
key = "site.key"
[[https-socket]]
adress = "127.0.0.1:8443"
cert = 7
trusted-proxies = "unix"
`,
		`4: https-socket[0].address: :443 is already taken by http-socket on line 2`,
		`6: https-socket[0].key: /srv/app/site.key is already the file of pidfile on line 1`,
		`7: https-socket[1]: has no address`,
		`7: https-socket[1]: has no key`,
		`8: https-socket[1].adress: unknown key (did you mean "address"?)`,
		`9: https-socket[1].cert: want a string, have the number 7`,
		`10: https-socket[1].trusted-proxies: stands below [[https-socket]] but is an option of the whole server`,
	)
}
