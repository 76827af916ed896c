package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// behindProxy is a server on TCP, a unix socket and TLS, for proxies that trusted lists.
func behindProxy(t *testing.T, trusted string) (i *servertest.Instance, tcp string, tls func(net.Conn) net.Conn) {
	t.Helper()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	tcp = fmt.Sprintf("127.0.0.1:%d", servertest.Port(t))
	i = servertest.Start(t, fmt.Sprintf(`
module = "who"
processes = 1
trusted-proxies = %s
header-timeout = "2s"
http-socket = [%q, "$DIR/http"]
`, trusted, tcp)+secure("https", dir, "one"), apps()...)
	return i, tcp, func(c net.Conn) net.Conn { return dialTLS(t, c, roots) }
}

// ask sends and returns the body of the answer, and its status.
func ask(t *testing.T, c net.Conn, what string) (status int, body string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const (
	plainGet = "GET / HTTP/1.1\r\nHost: own\r\n\r\n"
	saidGet  = "GET / HTTP/1.1\r\nHost: own\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n"
	said     = "HTTP/1.1 https tls=false host=shop.example from=192.0.2.7:0"
	header1  = "PROXY TCP4 192.0.2.9 10.0.0.1 4711 80\r\n"
	header2  = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x09\x0a\x00\x00\x01\x12\x67\x00\x50" // the same
	health   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

func TestATrustedProxyIsBelieved(t *testing.T) {
	t.Parallel()
	i, tcp, overTLS := behindProxy(t, `["127.0.0.0/8", "unix"]`)
	for name, tc := range map[string]struct{ addr, send, want string }{
		"fields over TCP":     {tcp, saidGet, said},
		"fields over unix":    {"http", saidGet, said},
		"version 1 over TCP":  {tcp, header1 + plainGet, "HTTP/1.1 http tls=false host=own from=192.0.2.9:4711"},
		"version 1 over unix": {"http", header1 + plainGet, "HTTP/1.1 http tls=false host=own from=192.0.2.9:4711"},
		"version 2 over TCP":  {tcp, header2 + plainGet, "HTTP/1.1 http tls=false host=own from=192.0.2.9:4711"},
		"a health check":      {"http", health + plainGet, "HTTP/1.1 http tls=false host=own from=@"},
		"nothing said":        {"http", plainGet, "HTTP/1.1 http tls=false host=own from=@"},
		// The client behind the proxy of TCP connections is not trusted itself.
		"both": {tcp, header1 + saidGet, "HTTP/1.1 http tls=false host=own from=192.0.2.9:4711"},
	} {
		if status, body := ask(t, i.Dial(tc.addr), tc.send); status != http.StatusOK || body != tc.want {
			t.Errorf("%s: %d %q, want %q", name, status, body, tc.want)
		}
	}
	raw := i.Dial("https")
	if _, err := io.WriteString(raw, header2); err != nil {
		t.Fatal(err)
	}
	h := dialH2(t, overTLS(raw))
	h.get(1)
	if _, body := h.next(0); string(body) != "HTTP/2.0 https tls=true host=localhost from=192.0.2.9:4711" {
		t.Errorf("version 2 before TLS: %q", body)
	}
	i.Until("the access log has the client", func() bool {
		access := i.Read("access")
		return strings.Contains(access, "192.0.2.7 ") && strings.Contains(access, "192.0.2.9 ")
	})
	if strings.Contains(i.Log(), "refused") {
		t.Errorf("somebody was refused:\n%s", i.Log())
	}
}

func TestAStrangerIsNotBelieved(t *testing.T) {
	t.Parallel()
	i, tcp, _ := behindProxy(t, `["10.0.0.0/8"]`)
	if _, body := ask(t, i.Dial("http"), saidGet); body != "HTTP/1.1 http tls=false host=own from=@" {
		t.Errorf("%q", body)
	}
	if _, body := ask(t, i.Dial(tcp), saidGet); !strings.HasPrefix(body, "HTTP/1.1 http tls=false host=own from=127.0.0.1:") {
		t.Errorf("%q", body)
	}
	for _, header := range []string{header1, header2} {
		for _, addr := range []string{tcp, "http"} {
			if status, body := ask(t, i.Dial(addr), header+plainGet); status != http.StatusBadRequest {
				t.Errorf("%q to %s: %d %q", header, addr, status, body)
			}
		}
	}
	c := i.Dial("https")
	if _, err := io.WriteString(c, header1); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) > 10 { // an alert, perhaps
		t.Errorf("https: %q, %v", b, err)
	}
	i.Until("each has its line in the log", func() bool {
		return strings.Count(i.Log(), "PROXY header from a peer that is not trusted") == 5
	})
	if n := strings.Count(i.Log(), "refused"); n != 5 {
		t.Errorf("%d lines, want one for each:\n%s", n, i.Log())
	}
}

func TestAMalformedPROXYHeaderIsRefused(t *testing.T) {
	t.Parallel()
	i, tcp, _ := behindProxy(t, `"127.0.0.1"`)
	if status, _ := ask(t, i.Dial(tcp), "PROXY TCP4 192.0.2.256 10.0.0.1 4711 80\r\n"+plainGet); status != http.StatusBadRequest {
		t.Errorf("answered %d", status)
	}
	if n := strings.Count(i.Log(), "PROXY header with a malformed address"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, i.Log())
	}
	if status, _ := ask(t, i.Dial(tcp), plainGet); status != http.StatusOK {
		t.Errorf("the next connection is answered %d", status)
	}
}
