// Package handlers is the application that every Go server in the benchmark serves, so that
// what differs between two rows of the table is the server and nothing else.
//
// It allocates nothing of its own per request but what http.ServeFile does: bodies and header
// values are made once.
package handlers

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// DataEnv names the environment variable with the folder of the bodies. Servers in other
// languages read the same files.
const DataEnv = "BENCH_DATA"

// page is a body with its header values. The slices are shared by all responses: net/http
// and its imitators read header values and do not change them.
type page struct {
	body        []byte
	kind, bytes []string
}

// app serves the paths; a switch instead of a ServeMux because the C and Python handlers
// do not pay for routing either.
type app struct {
	hello, json, body page
	file              string

	buffers sync.Pool // of *bytes.Buffer, for bodies on their way back
}

// New makes the application from the files in folder: hello, json2k, body64k and file1m.
func New(folder string) (http.Handler, error) {
	a := &app{file: filepath.Join(folder, "file1m")}
	a.buffers.New = func() any { return new(bytes.Buffer) }
	for name, at := range map[string]*page{"hello": &a.hello, "json2k": &a.json, "body64k": &a.body} {
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, fmt.Errorf("read the body to serve (is %s set?): %w", DataEnv, err)
		}
		*at = page{body: body, kind: []string{"text/plain"}, bytes: []string{strconv.Itoa(len(body))}}
	}
	a.json.kind = []string{"application/json"}
	return a, nil
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/hello":
		a.hello.serve(w)
	case "/json2k":
		a.json.serve(w)
	case "/body64k":
		a.body.serve(w)
	case "/echo10k":
		a.echo(w, r)
	case "/file1m":
		http.ServeFile(w, r, a.file)
	default:
		http.NotFound(w, r)
	}
}

func (p *page) serve(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = p.kind, p.bytes
	// The client is gone if this errs; the benchmark counts what it received.
	_, _ = w.Write(p.body)
}

// echo reads the whole body before it answers: net/http throws away what is unread when the
// answer begins.
func (a *app) echo(w http.ResponseWriter, r *http.Request) {
	buffer := a.buffers.Get().(*bytes.Buffer)
	defer a.buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/octet-stream"}
	h["Content-Length"] = []string{strconv.Itoa(buffer.Len())}
	_, _ = w.Write(buffer.Bytes())
}
