package frontends

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// answer gives the kind of response that the path names.
func answer(w http.ResponseWriter, r *http.Request) {
	kind := strings.TrimPrefix(r.URL.Path, "/answer/")
	w.Header().Set("Content-Type", "text/plain")
	switch kind {
	case "empty":
	case "short":
		io.WriteString(w, "a short answer\n")
	case "sized":
		w.Header().Set("Content-Length", "14")
		io.WriteString(w, "a sized answer")
	case "large":
		io.WriteString(w, strings.Repeat("0123456789abcdef", 64<<10))
	case "status-204":
		w.WriteHeader(http.StatusNoContent)
	case "status-304":
		w.Header().Set("Etag", `"v1"`)
		w.WriteHeader(http.StatusNotModified)
	case "status-404":
		http.Error(w, "no such thing", http.StatusNotFound)
	case "status-500":
		http.Error(w, "something broke", http.StatusInternalServerError)
	case "status-503":
		w.Header().Set("Retry-After", "7")
		http.Error(w, "later", http.StatusServiceUnavailable)
	case "status-299", "status-599":
		var code int
		fmt.Sscanf(kind, "status-%d", &code)
		w.WriteHeader(code)
		io.WriteString(w, kind)
	case "redirect":
		http.Redirect(w, r, "/elsewhere?a=1", http.StatusFound)
	case "redirect-away":
		http.Redirect(w, r, "https://example.org/x", http.StatusMovedPermanently)
	default:
		streamedAnswer(w, r, kind)
	}
}

// streamedAnswer are the kinds that need more of the ResponseWriter than Write.
func streamedAnswer(w http.ResponseWriter, r *http.Request, kind string) {
	header := w.Header()
	switch kind {
	case "flushed":
		for range 3 {
			io.WriteString(w, "a part\n")
			_ = http.NewResponseController(w).Flush()
		}
	case "cookies":
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
	case "headers":
		header.Set("X-Empty", "")
		header.Set("X-Latin", "caf\xe9")
		header["X-Twice"] = []string{"one", "two"}
		header.Set("X-Long", strings.Repeat("v", 3000))
		header.Set("Cache-Control", "max-age=60")
		header.Set("X-Split", "a\r\nX-Smuggled: b")
	case "own-date":
		header.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		header.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
	case "gzip":
		header.Set("Content-Encoding", "gzip")
		io.WriteString(w, "\x1f\x8bnot really, but nobody is to look into it")
	case "hop-by-hop":
		header.Set("Transfer-Encoding", "chunked")
		header.Set("Keep-Alive", "timeout=99")
		header.Set("Upgrade", "h2c")
		io.WriteString(w, "an answer with headers that are not its own")
	case "early-hints":
		header.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		header.Del("Link")
		io.WriteString(w, "after the hint")
	case "trailer":
		header.Set("Trailer", "X-Sum")
		io.WriteString(w, "body before the trailer")
		header.Set("X-Sum", "42")
	case "range":
		http.ServeContent(w, r, "", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	case "panic":
		panic("on purpose")
	case "aborted":
		header.Set("Content-Length", "1000")
		io.WriteString(w, "the beginning")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.Error(w, "the test asks for an unknown answer", http.StatusNotImplemented)
	}
}
