package uwsgi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const noon = "Fri, 02 Jan 2026 12:00:00 GMT"

// renderHead is a whole head, as a response without buffering would send it.
func renderHead(status int, h http.Header, sniff string) string {
	var hd head
	return string(hd.finish(hd.begin(nil, status, h), []byte(sniff), noon))
}

func TestHeadOnTheWire(t *testing.T) {
	const date = "Date: " + noon + "\r\n"
	const end = "Connection: close\r\n\r\n"
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		sniff  string
		want   string
	}{
		{"plain", 200, nil, "", "HTTP/1.1 200 OK\r\n" + date + end},
		{"unknown status", 599, nil, "", "HTTP/1.1 599 status code 599\r\n" + date + end},
		{"sorted and repeated", 200, http.Header{"B": {"2", "3"}, "A": {"1"}}, "", "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nB: 3\r\n" + date + end},
		{"own date", 200, http.Header{"Date": {"x"}}, "", "HTTP/1.1 200 OK\r\nDate: x\r\n" + end},
		{"date suppressed", 200, http.Header{"Date": nil}, "", "HTTP/1.1 200 OK\r\n" + end},
		{"sniffed", 200, nil, "<html>", "HTTP/1.1 200 OK\r\n" + date + "Content-Type: text/html; charset=utf-8\r\n" + end},
		{"sniffing suppressed", 200, http.Header{"Content-Type": nil}, "<html>", "HTTP/1.1 200 OK\r\n" + date + end},
		{"encoded is not sniffed", 200, http.Header{"Content-Encoding": {"gzip"}}, "<html>", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + date + end},
		{"length", 200, http.Header{"Content-Length": {"7"}}, "", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 7\r\n" + end},
		{"length twice", 200, http.Header{"Content-Length": {"7", "8"}}, "", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 7\r\n" + end},
		{"length nonsense", 200, http.Header{"Content-Length": {"-7"}}, "", "HTTP/1.1 200 OK\r\n" + date + end},
		{"hop by hop", 200, http.Header{"Transfer-Encoding": {"chunked"}, "Connection": {"keep-alive"}, "Keep-Alive": {"5"}, "Trailer": {"X"}, "Trailer:X": {"1"}}, "", "HTTP/1.1 200 OK\r\n" + date + end},
		{"the same in lower case", 200, http.Header{"transfer-encoding": {"chunked"}, "content-length": {"3"}}, "", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 3\r\n" + end},
		{"upgrade that is none", 426, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, "", "HTTP/1.1 426 Upgrade Required\r\n" + date + end},
		{"upgrade", 101, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, "", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + date + "\r\n"},
		{"204", 204, http.Header{"Content-Length": {"5"}}, "x", "HTTP/1.1 204 No Content\r\n" + date + end},
		{"304", 304, http.Header{"Content-Length": {"5"}, "Content-Type": {"a/b"}, "Etag": {`"1"`}}, "", "HTTP/1.1 304 Not Modified\r\nEtag: \"1\"\r\n" + date + end},
		{"split attempt", 200, http.Header{"X": {"a\r\nSet-Cookie: b\x00c"}}, "", "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b c\r\n" + date + end},
		{"name attempt", 200, http.Header{"X: y\r\nZ": {"1"}, "": {"2"}, "A B": {"3"}}, "", "HTTP/1.1 200 OK\r\n" + date + end},
		{"latin-1 and tab stay", 200, http.Header{"X": {" a\t\xe9 "}}, "", "HTTP/1.1 200 OK\r\nX: a\t\xe9\r\n" + date + end},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := renderHead(tt.status, tt.header, tt.sniff); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestEveryEndingHasAName(t *testing.T) {
	for e := endComplete; e <= endHijacked; e++ {
		if strings.Contains(e.String(), "ending(") {
			t.Errorf("ending %d has no name", e)
		}
	}
}

// FuzzResponseHeader holds what reaches the wire to its law: a client reads back the
// one field that the handler set, cleaned, and nothing that was hidden in it.
func FuzzResponseHeader(f *testing.F) {
	for _, s := range [][2]string{
		{"X-A", "plain"}, {"X-A", "a\r\nSet-Cookie: x=1"}, {"X-A\r\nX-B", "v"}, {"", "v"},
		{"X-A", "a\r\n\r\n<html>"}, {"X A", "v"}, {"X-A:", "v"}, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"},
		{"Trailer:X", "v"}, {"X-A", "\x00\x7f\xff"}, {"Set-Cookie", "a=b; Path=/"},
	} {
		f.Add(s[0], s[1], 200)
	}
	f.Add("Connection", "Upgrade", 101)
	f.Fuzz(func(t *testing.T, key, value string, status int) {
		if status != 101 && (status < 200 || status > 999) {
			return
		}
		wire := renderHead(status, http.Header{key: {value}}, "")
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(wire)), &http.Request{Method: "HEAD"})
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		if resp.StatusCode != status || resp.Uncompressed || len(resp.TransferEncoding) > 0 {
			t.Fatalf("%q is read as %+v", wire, resp)
		}
		canonical := http.CanonicalHeaderKey(key)
		allowed := map[string]bool{"Date": true, "Connection": true, "Content-Length": true, canonical: validName(key)}
		for k := range resp.Header {
			if !allowed[k] {
				t.Fatalf("%q: field %q appeared", wire, k)
			}
		}
		switch canonical {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Keep-Alive", "Proxy-Connection", "Connection", "Content-Type":
			return // the server's own
		}
		if got, ok := resp.Header[canonical]; validName(key) && (!ok || len(got) != 1 || got[0] != cleanValue(value)) {
			t.Fatalf("%q: %q is read as %q, want %q", wire, key, got, cleanValue(value))
		}
		if rest := wire[strings.Index(wire, "\r\n\r\n"):]; rest != "\r\n\r\n" {
			t.Fatalf("%q goes on after the head", wire)
		}
	})
}

func TestKeysAreCanonicalOrMadeSo(t *testing.T) {
	for _, key := range []string{
		"A", "a", "Content-Type", "content-type", "Content-type", "X--Y", "-", "-A", "9a", "A9b", "X-ÿ", "A B", "a b", "", "X_Y", "x_y", "Trailer:X", "\x00",
	} {
		canonical, valid := canonicalKey(key)
		if canonical != http.CanonicalHeaderKey(key) || valid != validName(key) {
			t.Errorf("%q: %q %t, want %q %t", key, canonical, valid, http.CanonicalHeaderKey(key), validName(key))
		}
	}
}

func TestManyFieldsAreSorted(t *testing.T) {
	h := make(http.Header)
	var want strings.Builder
	want.WriteString("HTTP/1.1 404 Not Found\r\n")
	for c := 'A'; c <= 'Z'; c++ {
		h.Set(string(c), "v")
		want.WriteString(string(c) + ": v\r\n")
	}
	want.WriteString("Date: " + noon + "\r\nConnection: close\r\n\r\n")
	if got := renderHead(404, h, ""); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

// FuzzDetectType holds the short cut to what the standard library says. The seeds are the
// beginnings of what it knows.
func FuzzDetectType(f *testing.F) {
	for _, s := range []string{
		"hello", "Hello", "{}", "[1]", "12", "\"a\"", "-1", "(a)", "<html>", " <html>", "\n\t <!--", "<?xml", "%PDF-", "%!PS-Adobe-", "\xfe\xff\x00\x00",
		"\xff\xfe\x00\x00", "\xef\xbb\xbf\x00", "\x00\x00\x01\x00", "BM", "GIF87a", "GIF89a", "RIFF....WEBPVP", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff",
		"FORM....AIFF", ".snd", "ID3", "OggS\x00", "MThd\x00\x00\x00\x06", "RIFF....AVI ", "RIFF....WAVE", "\x00\x00\x00\x0cftypmp4x", "\x1a\x45\xdf\xa3",
		"\x00\x01\x00\x00", "OTTO", "ttcf", "wOFF", "wOF2", "\x1f\x8b\x08", "PK\x03\x04", "Rar!\x1a\x07\x00", "\x00asm", "7z\xbc\xaf\x27\x1c",
		"a\x00", "a\x0c", "a\x1b", "a\x7f", "a\xff", strings.Repeat("a", 512),
	} {
		f.Add([]byte(s))
	}
	for c := range 256 {
		f.Add([]byte{byte(c)})
		f.Add([]byte{byte(c), 0})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), sniffLen)]
		if len(b) == 0 {
			return
		}
		if got, want := detectType(b), http.DetectContentType(b); got != want {
			t.Fatalf("%q is %s, want %s", b, got, want)
		}
	})
}

func TestErrorPageIsAWholeResponse(t *testing.T) {
	for _, noBody := range []bool{false, true} {
		b := appendError(nil, 413, "too much", noon, noBody)
		method := "GET"
		if noBody {
			method = "HEAD"
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 413 || resp.ContentLength == 0 || (len(text) == 0) != noBody {
			t.Errorf("noBody %t: %d %q %v", noBody, resp.StatusCode, text, err)
		}
		if noBody && !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
			t.Errorf("body after HEAD: %q", b)
		}
	}
}
