package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openTestSite(t *testing.T) *site {
	t.Helper()
	s, err := newSite(t.Context(), filepath.Join(t.TempDir(), "book"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	return ask(h, httptest.NewRequest("GET", target, nil))
}

func signing(name, message string) *http.Request {
	form := url.Values{"name": {name}, "message": {message}}
	r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	for _, c := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/", 200, "Nobody has signed yet"},
		{"GET", "/upload", 200, "Hash it"},
		{"GET", "/static/style.css", 200, "--leather"},
		{"GET", "/nowhere/<b>", 404, "/nowhere/&lt;b&gt;"},
		{"GET", "/templates/index.html", 404, "There is no page"},
		{"POST", "/download", 405, "Method Not Allowed"},
		{"GET", "/download?mib=-1", 400, "from 0 to 1024"},
		{"GET", "/download?mib=1025", 400, "from 0 to 1024"},
		{"GET", "/slow?d=1h", 400, "from 0s to 1m0s"},
		{"GET", "/slow?d=0s", 200, "Here after 0s"},
	} {
		rec := ask(s, httptest.NewRequest(c.method, c.target, nil))
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s %s: %d %q, want %d with %q", c.method, c.target, rec.Code, rec.Body, c.status, c.want)
		}
	}
}

func TestSigningSendsTheBrowserBackToTheEntry(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	rec := ask(s, signing(" Anna ", "A fine <stable>"))
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/" {
		t.Fatalf("got %d to %q, want 303 to /", rec.Code, rec.Header().Get("Location"))
	}
	ask(s, signing("Bert", "Second"))
	body := get(s, "/").Body.String()
	if !strings.Contains(body, "Anna, ") || !strings.Contains(body, "A fine &lt;stable&gt;") {
		t.Errorf("the entry is not on the page, or not escaped:\n%s", body)
	}
	if strings.Index(body, "Second") > strings.Index(body, "A fine") {
		t.Error("the newest entry is not first")
	}
}

func TestRefusedFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	for _, c := range []struct{ name, message, problem string }{
		{"  ", "kept words", "Please give a name."},
		{"Anna", "\n", "Please write a line or two."},
		{strings.Repeat("é", maxName+1), "kept words", "The name is longer than 60 characters."},
		{"Anna", strings.Repeat("é", maxMessage+1), "The message is longer than 500 characters."},
	} {
		rec := ask(s, signing(c.name, c.message))
		body := rec.Body.String()
		if rec.Code != http.StatusUnprocessableEntity || !strings.Contains(body, c.problem) {
			t.Errorf("%q: got %d, want 422 with %q", c.name, rec.Code, c.problem)
		}
		if !strings.Contains(body, strings.TrimSpace(c.message)+"</textarea>") {
			t.Errorf("%q: the typed message is gone", c.name)
		}
	}
	if e, _ := s.book.latest(); len(e) != 0 {
		t.Errorf("refused forms were written: %v", e)
	}
	if rec := ask(s, signing(strings.Repeat("é", maxName), strings.Repeat("é", maxMessage))); rec.Code != http.StatusSeeOther {
		t.Errorf("the longest allowed entry: got %d", rec.Code)
	}
}

func TestFormFromAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	r := signing("Mallory", "You never wrote this")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if rec := ask(s, r); rec.Code != http.StatusForbidden {
		t.Errorf("got %d, want 403", rec.Code)
	}
	if e, _ := s.book.latest(); len(e) != 0 {
		t.Errorf("it was written: %v", e)
	}
}

func TestUnwritableBookIsA500WithoutItsPath(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	s.book.Close()
	for _, r := range []*http.Request{signing("Anna", "x"), httptest.NewRequest("GET", "/", nil)} {
		if rec := ask(s, r); rec.Code != 500 || strings.Contains(rec.Body.String(), "book") {
			t.Errorf("%s: got %d %q", r.Method, rec.Code, rec.Body)
		}
	}
	if _, err := newSite(t.Context(), filepath.Join(t.TempDir(), "missing", "book")); err == nil {
		t.Error("a book that cannot be opened did not keep the site from starting")
	}
}

// Two books on one file stand for two worker processes.
func TestProcessesShareTheBook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	const each = 20
	var wg sync.WaitGroup
	for range 2 {
		b, err := openBook(path)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		wg.Go(func() {
			for i := range each {
				if err := b.add(entry{Name: "n", Message: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if e, err := b.latest(); err != nil || len(e) != 2*each {
		t.Errorf("got %d entries, %v, want %d", len(e), err, 2*each)
	}
}

func TestLatestReadsTheEndOfALongBook(t *testing.T) {
	t.Parallel()
	var text []byte
	for i := range 2000 {
		line, _ := json.Marshal(entry{Name: "n", Message: fmt.Sprint(i)})
		text = append(append(text, line...), '\n')
	}
	text = append(text, "not json\n{\"name\":\"half a l"...)
	path := filepath.Join(t.TempDir(), "book")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	e, err := b.latest()
	if err != nil || len(e) != shown || e[0].Message != "1999" || e[shown-1].Message != "1950" {
		t.Errorf("got %d entries from %v, %v", len(e), e[:1], err)
	}
}

func TestUploadAnswersItsHash(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	content := bytes.Repeat([]byte("hay and oats "), 100_000)
	sum := fmt.Sprintf("%x", sha256.Sum256(content))

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, _ := form.CreateFormFile("file", "hay.txt")
	part.Write(content)
	form.Close()
	whole := body.String()

	for _, c := range []struct {
		what, kind, accept, body string
		status                   int
		want                     string
	}{
		{"bare", "application/octet-stream", "*/*", string(content), 200, sum + "  -\n"},
		{"form", form.FormDataContentType(), "*/*", whole, 200, sum + "  hay.txt\n"},
		{"browser", form.FormDataContentType(), "text/html,*/*", whole, 200, "<code>" + sum + "</code>"},
		{"cut short", form.FormDataContentType(), "*/*", whole[:len(whole)-200], 400, "read the upload"},
		{"no boundary", "multipart/form-data", "*/*", whole, 400, "read the form"},
		{"no part", form.FormDataContentType(), "*/*", "", 400, "read the form"},
	} {
		r := httptest.NewRequest("POST", "/upload", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Accept", c.accept)
		if rec := ask(s, r); rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s: got %d %q, want %d with %q", c.what, rec.Code, rec.Body, c.status, c.want)
		}
	}
}

func TestUploadOverTheLimitIs413(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	r := httptest.NewRequest("POST", "/upload", io.LimitReader(sameBytes(), maxUpload+1))
	if rec := ask(s, r); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %q, want 413", rec.Code, rec.Body)
	}
}

func TestDownloadIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	first, second := get(s, "/download?mib=2"), get(s, "/download?mib=2")
	if first.Body.Len() != 2*mib || first.Header().Get("Content-Length") != fmt.Sprint(2*mib) {
		t.Errorf("got %d bytes, header %v", first.Body.Len(), first.Header())
	}
	if !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) {
		t.Error("two downloads differ")
	}
}

func TestSlowAnswersAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rec := httptest.NewRecorder()
		slow(rec, httptest.NewRequest("GET", "/slow?d=2s", nil))
		if took := time.Since(began); took != 2*time.Second || rec.Body.String() != "Here after 2s.\n" {
			t.Errorf("got %q after %v", rec.Body, took)
		}
	})
}

func TestPanicPagePanics(t *testing.T) {
	t.Parallel()
	s := openTestSite(t)
	defer func() {
		if recover() == nil {
			t.Error("no panic left the handler")
		}
	}()
	get(s, "/panic")
}
