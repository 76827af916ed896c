package frontends

import (
	"bufio"
	"bytes"
	"context"
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

// send makes one request after the other. curl is started once for all of them: to start it
// costs more than ten requests. So a connection that its other end keeps is used again.
func (c curl) send(t testing.TB, requests ...request) []reply {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-q", "-sS"}
	for n, r := range requests {
		if n > 0 {
			args = append(args, "--next")
		}
		at := filepath.Join(dir, strconv.Itoa(n))
		if err := os.WriteFile(at+".sent", []byte(r.body), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(append(args, c.flags(r, at)...), c.args...)
		args = append(args, "-w", "%{exitcode} %{errormsg}\n", c.base+"/")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(len(requests))*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	ends := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(ends) != len(requests) {
		t.Fatalf("curl: %v, it says of %d requests %q: %s", err, len(requests), out, &complaint)
	}
	all := make([]reply, len(requests))
	for n, r := range requests {
		all[n] = replyOf(t, filepath.Join(dir, strconv.Itoa(n)), r, ends[n])
	}
	return all
}

// replyOf reads what curl has written for a request.
func replyOf(t testing.TB, at string, r request, end string) reply {
	t.Helper()
	head, _ := os.ReadFile(at + ".head") // none: nothing came
	got := parseHead(t, head)
	got.body, _ = os.ReadFile(at + ".body")
	code, words, _ := strings.Cut(end, " ")
	switch code {
	case "0":
	case "18", "55", "56", "92": // partial file, errors of sending, receiving, of the stream
		got.cut = true
	case "52": // nothing came back
	default:
		t.Fatalf("%s: curl ends with %s: %s", r.name, code, words)
	}
	return got
}

// flags are those of one request, whose files begin with at.
func (c curl) flags(r request, at string) []string {
	flags := []string{"--interface", client, "--noproxy", "*", "-D", at + ".head", "-o", at + ".body", "--request-target", r.target,
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
		flags = append(flags, "--data-binary", "@"+at+".sent")
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
