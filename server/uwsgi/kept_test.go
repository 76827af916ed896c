package uwsgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What doc.go says of lifetimes. The requests come one after the other, so that each finds
// the buffers of the one before.
func TestWhatAHandlerKeepsStaysAsItWas(t *testing.T) {
	type keepsake struct {
		r      *http.Request
		header http.Header
		body   []byte
	}
	const requests = 20
	kept := make(chan keepsake, requests)
	r := start(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Answer", r.Header.Get("X-Number"))
		answer := bytes.Clone(body)
		if _, err := w.Write(answer); err != nil {
			t.Error(err)
		}
		clear(answer) // it is ours again
		kept <- keepsake{r, w.Header(), body}
	})
	text := func(n int) string { return strings.Repeat(fmt.Sprint("number ", n, "; "), 100*(n+1)) } // in the buffer, and over it
	for n := range requests {
		req, err := http.NewRequest("POST", fmt.Sprintf("http://host%d/path/%d?q=%d", n, n, n), strings.NewReader(text(n)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Number", fmt.Sprint(n))
		resp, err := r.client().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != text(n) || err != nil {
			t.Errorf("answer %d has %d bytes, want %d, %v", n, len(got), len(text(n)), err)
		}
		resp.Body.Close()
	}
	r.stop(t)
	for n := range requests {
		k, number := <-kept, fmt.Sprint(n)
		if k.r.Header.Get("X-Number") != number || k.r.Host != "host"+number || k.r.URL.Path != "/path/"+number ||
			k.r.URL.Query().Get("q") != number || VarsOf(k.r).Get("PATH_INFO") != "/path/"+number ||
			k.header.Get("X-Answer") != number || string(k.body) != text(n) {
			t.Errorf("request %d is now %s %s, header %v, variables %v", n, k.r.Host, k.r.URL, k.r.Header, VarsOf(k.r))
		}
		if _, err := k.r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("its body: %v", err)
		}
		if k.r.Context().Err() == nil {
			t.Error("its context has not ended")
		}
	}
}
