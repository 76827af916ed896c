package frontends

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
)

// refusals are the log lines about requests that no handler saw.
func refusals(i *servertest.Instance) []string {
	var all []string
	for line := range strings.Lines(i.Log()) {
		if strings.Contains(line, "uwsgi request refused") {
			all = append(all, line)
		}
	}
	return all
}

// say sends bytes to a uwsgi socket, ends there, and returns all of the answer.
func say(t *testing.T, s site, bytes string, end bool) string {
	t.Helper()
	c, err := net.Dial("unix", s.unix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	// The server may have answered and closed before the last byte: what counts is
	// the answer.
	_, _ = io.WriteString(c, bytes)
	if end {
		_ = c.(*net.UnixConn).CloseWrite()
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read the answer: %v, after %q", err, answer)
	}
	return string(answer)
}

func TestEveryMalformedInputIsAnsweredLoggedAndForgotten(t *testing.T) {
	i, s := startSite(t, "mirror")
	inputs := malformedInputs()
	if len(inputs) < 100 {
		t.Fatalf("only %d inputs", len(inputs))
	}
	healthy := i.UWSGI("app.sock")
	for n, m := range inputs {
		got := say(t, s, m.bytes, true)
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", m.status)) {
			t.Errorf("%s: answer %.60q, want status %d", m.name, got, m.status)
		}
		// The line is written before the answer, so it is there now.
		lines := refusals(i)
		if len(lines) != n+1 {
			t.Fatalf("%s: %d lines about %d refusals:\n%s", m.name, len(lines), n+1, i.Log())
		}
		if !strings.Contains(lines[n], m.cause) || !strings.Contains(lines[n], fmt.Sprintf("status=%d", m.status)) {
			t.Errorf("%s: the log says %q, nothing of %q", m.name, lines[n], m.cause)
		}
		req, err := http.NewRequest(http.MethodGet, "http://site.example/healthy", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := healthy.RoundTrip(req)
		if err != nil {
			t.Fatalf("after %s: %v", m.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("after %s: %s", m.name, resp.Status)
		}
	}
	if w := i.Stats().Workers[0]; w.Exceptions != 0 || w.RespawnCount != 1 {
		t.Errorf("after all: %d exceptions, %d spawns", w.Exceptions, w.RespawnCount)
	}
}

// A peer that stops in the middle and keeps the connection is cut by header-timeout,
// and told so.
func TestSilentPeersAreAnsweredWhenTheirTimeIsUp(t *testing.T) {
	i := servertest.Start(t, `module = "mirror"
processes = 1
threads = 8
socket = "$DIR/app.sock"
header-timeout = "1s"
`, apps()...)
	s := site{unix: i.Dir + "/app.sock"}
	for name, bytes := range map[string]string{
		"after one byte":        "\x00",
		"after three bytes":     "\x00\x40\x00",
		"after the header":      packet(0, 64, ""),
		"in the middle of vars": packet(0, 64, "\x0e\x00REQUEST"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := say(t, s, bytes, false); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
				t.Errorf("got %.60q", got)
			}
		})
	}
}
