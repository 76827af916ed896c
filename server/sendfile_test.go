package server

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What a handler says of a file before it sends it is not said of the answer that there is none.
func TestNobodyKeepsThatAFileIsMissing(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	for name, value := range map[string]string{"Cache-Control": "public, max-age=31536000", "Content-Disposition": "attachment", "Etag": `"1"`, "X-Own": "stays"} {
		rec.Header().Set(name, value)
	}
	SendFile(rec, httptest.NewRequest("GET", "/", nil), "/nonexistent/x.pdf")
	h := rec.Header()
	if rec.Code != http.StatusNotFound || h.Get("Cache-Control")+h.Get("Content-Disposition")+h.Get("Etag") != "" || h.Get("X-Own") == "" {
		t.Errorf("answered %d %v", rec.Code, h)
	}
}

func TestThatFilesAreUnavailableIsSaidOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		say := sayUnavailable(hclog.New(&hclog.LoggerOptions{Output: &out}))
		for range 3 {
			for range 5 {
				say("/srv/a.css", errors.New("too many open files"))
			}
			time.Sleep(time.Second) // fake time
		}
		if n := strings.Count(out.String(), "file=/srv/a.css error=\"too many open files\""); n != 3 {
			t.Errorf("said %d times in three seconds:\n%s", n, &out)
		}
	})
}
