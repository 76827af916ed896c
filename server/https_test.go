package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// webApps are the applications of the tests about http and https sockets.
func webApps() []server.App {
	return []server.App{
		server.Handler("who", http.HandlerFunc(who)),
		server.Handler("pours", http.HandlerFunc(pours)),
	}
}

// who tells what the handler knows about the client.
func who(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s tls=%t host=%s from=%s", r.Proto, server.Scheme(r), r.TLS != nil, r.Host, r.RemoteAddr)
}

// pours writes until the client has had enough, and says in the log how it ended.
func pours(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).Flush()
	var err error
	for b := make([]byte, 32<<10); err == nil; {
		_, err = w.Write(b)
	}
	fmt.Println("poured out:", err)
}

// secure is the configuration of an https socket at $DIR/name.
func secure(name, dir, cert string) string {
	return fmt.Sprintf("\n[[https-socket]]\naddress = \"$DIR/%s\"\ncert = %q\nkey = %q\n",
		name, filepath.Join(dir, cert+".pem"), filepath.Join(dir, cert+".key"))
}

func TestEveryVersionOfHTTPIsSpoken(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, `
module = "who"
processes = 1
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
`+secure("https", dir, "one"), apps()...)
	for name, tc := range map[string]struct {
		rt   http.RoundTripper
		url  string
		want string
	}{
		"http/1.1":          {i.HTTP("http").Transport, "http://localhost/", "HTTP/1.1 http tls=false host=localhost from=@"},
		"h2c":               {i.HTTP2("http", nil).Transport, "http://localhost/", "HTTP/2.0 http tls=false host=localhost from=@"},
		"http/1.1 over TLS": {i.HTTPS("https", roots).Transport, "https://localhost/", "HTTP/1.1 https tls=true host=localhost from=@"},
		"h2":                {i.HTTP2("https", roots).Transport, "https://localhost/", "HTTP/2.0 https tls=true host=localhost from=@"},
		"uwsgi":             {i.UWSGI("uwsgi"), "https://localhost/", "HTTP/1.1 https tls=false host=localhost from=[unix:]:0"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second on the same connection
				if status, body := get(t, tc.rt, tc.url); status != http.StatusOK || body != tc.want {
					t.Errorf("%d %q, want %q\n%s", status, body, tc.want, i.Log())
				}
			}
		})
	}
	s := i.WaitFor("all are counted", func(s stats.Snapshot) bool { return s.Workers[0].Requests == 10 })
	if protos := fmt.Sprint(s.Sockets[0].Proto, s.Sockets[1].Proto, s.Sockets[2].Proto); protos != "httpuwsgihttps" {
		t.Errorf("sockets speak %s", protos)
	}
}

// Whoever mistakes the protocol is told, and so is the operator.
func TestPlainHTTPOnAnHTTPSSocketIsAnswered(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, `module = "who"`+secure("https", dir, "one"), apps()...)
	status, body := get(t, i.HTTP("https").Transport, "http://localhost/")
	if status != http.StatusBadRequest || !strings.Contains(body, "https://") {
		t.Errorf("%d %q", status, body)
	}
	i.Until("the log has it", func() bool { return strings.Contains(i.Log(), "http spoken to an https socket") })
}

// A client that does not finish its handshake is cut by header-timeout.
func TestAHandshakeHasATimeLimit(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, `
module = "who"
header-timeout = "2s"
`+secure("https", dir, "one"), apps()...)
	c := i.Dial("https")
	if _, err := io.WriteString(c, "\x16\x03\x01"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); n > 100 || err != nil {
		t.Errorf("read %d bytes and %v, want the end", n, err)
	}
}

// unusable are certificates no worker can serve with, and what is said about them.
func unusable(t *testing.T) map[string]func(dir string) (words string) {
	return map[string]func(string) string{
		"missing": func(dir string) string {
			remove(t, filepath.Join(dir, "one.pem"))
			return "read certificate: open " + filepath.Join(dir, "one.pem") + ": no such file"
		},
		"no key": func(dir string) string {
			remove(t, filepath.Join(dir, "one.key"))
			return "read key: open " + filepath.Join(dir, "one.key") + ": no such file"
		},
		"no PEM": func(dir string) string {
			write(t, filepath.Join(dir, "one.pem"), "not a certificate")
			return filepath.Join(dir, "one.pem") + " with key " + filepath.Join(dir, "one.key") + ": tls: failed to find any PEM data"
		},
		"another key": func(dir string) string {
			servertest.Certificate(t, dir, "two")
			if err := os.Rename(filepath.Join(dir, "two.key"), filepath.Join(dir, "one.key")); err != nil {
				t.Fatal(err)
			}
			return "private key does not match public key"
		},
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAStartWithoutAUsableCertificateFailsWithTheReason(t *testing.T) {
	t.Parallel()
	for name, spoil := range unusable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := servertest.Dir(t)
			servertest.Certificate(t, dir, "one")
			words := spoil(dir)
			for _, master := range []string{"true", "false"} {
				file := filepath.Join(dir, "app.toml")
				write(t, file, strings.ReplaceAll("module = \"who\"\nmaster = "+master+secure("https", dir, "one"), "$DIR", dir))
				out, code := servertest.Command(t, "--config", file)
				if code == 0 || !strings.Contains(out, words) || !strings.Contains(out, "https-socket "+filepath.Join(dir, "https")) {
					t.Errorf("master = %s: exit code %d, want %q in:\n%s", master, code, words, out)
				}
			}
		})
	}
}

// The old workers stay, with the certificate they have, and the next reload may do better.
func TestAReloadWithoutAUsableCertificateIsTakenBack(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, `module = "who"`+"\nprocesses = 1\n"+secure("https", dir, "one"))
	for name, spoil := range unusable(t) {
		words := spoil(dir)
		if out, code := i.Command("reload"); code != 1 || !strings.Contains(out, words) {
			t.Errorf("%s: exit code %d, want 1 and %q in:\n%s", name, code, words, out)
		}
		if status, _ := get(t, i.HTTPS("https", roots).Transport, "https://localhost/"); status != http.StatusOK {
			t.Errorf("%s: answered %d afterwards", name, status)
		}
		servertest.Certificate(t, dir, "one") // both files are there again
	}
	renewed := servertest.Certificate(t, dir, "one")
	if out, code := i.Command("reload"); code != 0 {
		t.Fatalf("reload: exit code %d\n%s", code, out)
	}
	get(t, i.HTTPS("https", renewed).Transport, "https://localhost/")
}

// The certificate is renewed while clients of both versions work; connections that stand
// finish what they have, new ones meet the new certificate.
func TestARenewedCertificateDropsNobody(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	old := servertest.Certificate(t, dir, "one")
	i := servertest.Launch(t, `
module = "echo"
processes = 2
threads = 8
disable-logging = true
`+secure("https", dir, "one"))
	before := presented(t, i, old)
	now := servertest.Certificate(t, dir, "one")
	both := old.Clone() // for clients that live through the change
	both.AppendCertsFromPEM([]byte(readFile(t, filepath.Join(dir, "one.pem"))))
	h1 := servertest.Run(t, 4, servertest.Echo(i.HTTPS("https", both).Transport, "https://localhost/"))
	h2 := servertest.Run(t, 4, streams(t, func() net.Conn { return dialTLS(t, i.Dial("https"), both) }))
	i.Until("the load runs", func() bool { return h1.Done() > 20 && h2.Done() > 2 })
	i.Signal(syscall.SIGHUP)
	i.WaitFor("the second generation serves alone", func(s stats.Snapshot) bool { return s.Generation == 2 && s.State == "serving" })
	after := presented(t, i, now)
	h1.MustLoseNothing()
	h2.MustLoseNothing()
	if before.Equal(after) {
		t.Error("the certificate is still the old one")
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// presented is the certificate a new client is shown, which roots must trust.
func presented(t *testing.T, i *servertest.Instance, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	c := tls.Client(i.Dial("https"), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// dialHTTP1 makes a TLS connection without agreeing on a protocol, which is HTTP/1.1.
func dialHTTP1(t *testing.T, i *servertest.Instance, roots *x509.CertPool) *tls.Conn {
	t.Helper()
	return tls.Client(i.Dial("https"), &tls.Config{RootCAs: roots, ServerName: "localhost"})
}

// The framing stands above TLS: it sees what net/http sees.
func TestHTTP1OverTLSIsAsStrictAsWithout(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, "module = \"transfers\"\nprocesses = 1\n"+secure("https", dir, "one"), apps()...)
	for name, request := range map[string]string{
		"two framings": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
		"folded":       "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
		"h2 preface":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := dialHTTP1(t, i, roots)
		if status, _ := ask(t, c, request); status != http.StatusBadRequest && status != http.StatusHTTPVersionNotSupported {
			t.Errorf("%s: answered %d", name, status)
		}
	}
	if log := i.Log(); strings.Count(log, "http request refused") != 3 || strings.Contains(log, "smuggled") {
		t.Errorf("the log has not one line for each:\n%s", log)
	}
}

func TestAnUpgradeWorksOverTLS(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	roots := servertest.Certificate(t, dir, "one")
	i := servertest.Start(t, "module = \"transfers\"\nprocesses = 1\n"+secure("https", dir, "one"), apps()...)
	c := dialHTTP1(t, i, roots)
	const early, late = "sent with the request, ", "sent after it"
	if _, err := io.WriteString(c, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"+early); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := io.WriteString(c, late); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(early+late))
	if _, err := io.ReadFull(br, back); err != nil || string(back) != early+late {
		t.Errorf("%q, %v", back, err)
	}
	i.WaitFor("it is counted, and holds no slot", func(s stats.Snapshot) bool { return s.Workers[0].Upgraded == 1 && busy(s) == 0 })
}
