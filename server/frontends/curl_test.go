package frontends

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
)

// patience is how long one request may take before the test fails.
const patience = 60 * time.Second

// client is where every request comes from: not where the front ends are, so that
// the two cannot be mistaken for each other.
const client = "127.0.0.2"

// curl is the one client of all columns. Its own headers are taken away.
type curl struct {
	path string // of the program
	base string // "http://127.0.0.1:1234"
	args []string
}

func newCurl(t testing.TB, base string, args ...string) curl {
	return curl{path: servertest.Peer(t, "curl"), base: base, args: args}
}

// reply is what came back.
type reply struct {
	status  int // 0 if there was no answer at all
	header  textproto.MIMEHeader
	trailer textproto.MIMEHeader
	body    []byte
	cut     bool // the answer visibly ended too early
}

func (c curl) send(t testing.TB, r request) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	cmd := exec.CommandContext(ctx, c.path, append(append(c.flags(r), c.args...), "-o", body, c.base+"/")...)
	cmd.Stdin = strings.NewReader(r.body)
	var head, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &head, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("curl: %v", err)
	}
	got := parseHead(t, head.Bytes())
	got.body, _ = os.ReadFile(body)
	switch code := cmd.ProcessState.ExitCode(); code {
	case 0:
	case 18, 55, 56, 92: // partial file, errors of sending, receiving, of the stream
		got.cut = true
	case 52: // nothing came back
	default:
		t.Fatalf("%s: curl ends with %d: %s", r.name, code, &complaint)
	}
	return got
}

func (c curl) flags(r request) []string {
	flags := []string{"-sS", "-q", "--interface", client, "--noproxy", "*", "-D", "-", "--request-target", r.target,
		"-H", "User-Agent:", "-H", "Accept:"}
	has := func(name string) bool {
		for _, h := range r.header {
			if len(h) >= len(name) && strings.EqualFold(h[:len(name)], name) {
				return true
			}
		}
		return false
	}
	if !has("Host:") {
		flags = append(flags, "-H", "Host: site.example")
	}
	if !has("Expect:") {
		flags = append(flags, "-H", "Expect:")
	}
	if r.method == "HEAD" {
		flags = append(flags, "--head")
	} else if r.method != "" || r.body != "" {
		flags = append(flags, "-X", cmpOr(r.method, "GET"))
	}
	if r.http10 {
		flags = append(flags, "--http1.0")
	}
	if r.body != "" || r.chunked {
		flags = append(flags, "--data-binary", "@-")
		if !has("Content-Type:") {
			flags = append(flags, "-H", "Content-Type:") // curl would call it a form
		}
	}
	if r.chunked {
		flags = append(flags, "-H", "Transfer-Encoding: chunked")
	}
	for _, h := range r.header {
		flags = append(flags, "-H", h)
	}
	return flags
}

func cmpOr(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// parseHead takes the last head, the one behind 1xx answers, and the trailer.
func parseHead(t testing.TB, b []byte) (got reply) {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	for {
		line, err := r.ReadLine()
		if err != nil {
			return got
		}
		if !strings.HasPrefix(line, "HTTP/") {
			got.trailer = parseTrailer(line, b)
			return got
		}
		got.status, err = strconv.Atoi(strings.Fields(line + " 0 0")[1])
		if err != nil {
			t.Fatalf("status line %q", line)
		}
		if got.header, err = r.ReadMIMEHeader(); err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
	}
}

func parseTrailer(first string, b []byte) textproto.MIMEHeader {
	_, rest, _ := bytes.Cut(b, []byte("\n"+first))
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s%s\r\n\r\n", first, rest))))
	h, _ := r.ReadMIMEHeader()
	return h
}
