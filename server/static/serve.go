package static

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// File is an open file, and the answer to one request.
type File struct {
	content view
	name    string // in tree
	tree    *tree  // nil: it is of OpenFile, and has no siblings
	moved   string // where the client has to ask for it; "": here

	unavailable error // why it cannot be opened now; then there is no content
	closed      bool
}

// coding is a way to compress, and the end of a sibling's name.
type coding struct{ name, ext string }

// codings are in the order of how much smaller they make a text.
func codings() [3]coding {
	return [...]coding{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}
}

// ServeHTTP answers with the file, or the part of it that is asked for, and closes it. How long
// a file of OpenFile may be kept is the caller's to say.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.unavailable != nil {
		f.tree.files.unavailable(filepath.Join(f.tree.Path, f.name), f.unavailable)
		http.Error(w, "the file cannot be opened now", http.StatusServiceUnavailable)
		return
	}
	defer f.Close()
	h := w.Header()
	if f.moved != "" {
		h.Set("Location", (&url.URL{Path: f.moved, RawQuery: r.URL.RawQuery}).String())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", TypeOf(f.name))
	}
	h.Set("X-Content-Type-Options", "nosniff") // the name says what it is
	send := f
	if f.tree != nil {
		h.Set("Cache-Control", f.caching())
	}
	if f.tree != nil && Compressible(f.name) {
		h.Add("Vary", "Accept-Encoding")
		if s, how := f.sibling(r.Header["Accept-Encoding"]); s != nil {
			defer s.Close()
			send = s
			h.Set("Content-Encoding", how)
		}
	}
	h.Set("Etag", send.etag(h.Get("Content-Encoding")))
	if conditional(r.Header) {
		if send != f {
			send.announce(h, r)
		}
		http.ServeContent(w, r, "", f.content.info.ModTime(), &send.content)
		return
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Last-Modified", f.content.info.ModTime().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(send.content.info.Size(), 10))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		send.whole(w)
	}
}

// conditional reports whether the answer may be another than the whole file.
func conditional(h http.Header) bool {
	for _, name := range [...]string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// oneWrite is what fits behind a head in net/http's buffer, more or less.
const oneWrite = 3 << 10

// whole sends all of the file. net/http reads the beginning of what it is to copy, in case it
// has to guess the type, unless the head is on its way. A small file travels with its head. An
// error is the client's going away.
func (f *File) whole(w http.ResponseWriter) {
	size := f.content.info.Size()
	if size <= oneWrite {
		var buf [oneWrite]byte
		n, _ := io.ReadFull(&f.content, buf[:size])
		_, _ = w.Write(buf[:n])
		return
	}
	_ = http.NewResponseController(w).Flush() // a writer of a test may have none
	if _, err := io.CopyN(w, &f.content, size); err == nil && size <= memoryMost {
		f.content.read.Store(true)
	}
}

// Close lets go of a file that is not served.
func (f *File) Close() error {
	if f.unavailable != nil || f.closed {
		return nil
	}
	f.closed = true // a second time would take another request's share away
	if f.tree == nil {
		return f.content.file.Close()
	}
	f.tree.files.shelf.leave(f.content.handle)
	return nil
}

// caching: what may change is asked for again each time, which costs a 304, and nobody sees the
// page of today with the style sheet of yesterday.
func (f *File) caching() string {
	if f.tree.Lasting != nil && f.tree.Lasting(f.name) {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// announce says how long the answer is. ServeContent leaves that to others when the content
// is encoded, and without it a file is not sent by sendfile. If a precondition fails there is
// no content.
func (f *File) announce(h http.Header, r *http.Request) {
	if r.Header.Get("If-Match") == "" && r.Header.Get("If-Unmodified-Since") == "" {
		h.Set("Content-Length", strconv.FormatInt(f.content.info.Size(), 10))
	}
}

// sibling finds the file in a coding that the client understands. One that is older than
// the file is of what the file was before.
func (f *File) sibling(accepted []string) (*File, string) {
	if len(accepted) == 0 {
		return nil, ""
	}
	for _, c := range codings() {
		if !accepts(accepted, c.name) {
			continue
		}
		s, _ := f.tree.regular(f.name + c.ext)
		if s == nil || s.unavailable != nil {
			continue
		}
		if !s.content.info.ModTime().Before(f.content.info.ModTime()) {
			return s, c.name
		}
		_ = s.Close()
	}
	return nil, ""
}

// accepts reads Accept-Encoding. A client that names a coding wants it unless it says q=0.
func accepts(accepted []string, coding string) bool {
	for _, line := range accepted {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			q, weighted := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !weighted || err == nil && n > 0
		}
	}
	return false
}

// etag tells contents apart by time and length, as nginx does, and to the nanosecond.
func (f *File) etag(coding string) string {
	tag := fmt.Sprintf("%x-%x", f.content.info.ModTime().UnixNano(), f.content.info.Size())
	if coding != "" {
		tag += "-" + coding
	}
	return `"` + tag + `"`
}

// TypeOf is the media type of a file by its name. Unlike http.ServeContent it does not look
// into the content, which the owner of a file may not have written.
func TypeOf(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
