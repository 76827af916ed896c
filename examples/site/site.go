package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/seed17661985/ostler/server"
)

//go:embed templates static
var files embed.FS

// site answers every request that nginx does not answer itself.
type site struct {
	*http.ServeMux
	book  *book
	pages *template.Template
}

// page is what every template may use.
type page struct {
	Title   string
	Path    string // the navigation marks it
	Process int
	Data    any
}

// form is the guest book page: what was written, and what the visitor typed if it was refused.
type form struct {
	Entries    []entry
	Typed      entry
	Problem    string
	MaxName    int
	MaxMessage int
}

// staticFiles is what `site collectstatic` collects, and what the pages ask for by name.
func staticFiles() fs.FS {
	sub, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the name is not one: a mistake in this program
	}
	return sub
}

func newSite(ctx context.Context, bookPath string) (*site, error) {
	// With static-hashed these are names that browsers keep for ever.
	address := template.FuncMap{"static": func(name string) string { return server.StaticURL(ctx, name) }}
	pages, err := template.New("").Funcs(address).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	b, err := openBook(bookPath)
	if err != nil {
		return nil, err
	}
	s := &site{ServeMux: http.NewServeMux(), book: b, pages: pages}
	// A form posted from a page of another site is refused (403), without a token in the form.
	sameOrigin := http.NewCrossOriginProtection().Handler

	s.HandleFunc("GET /{$}", s.index)
	s.Handle("POST /{$}", sameOrigin(http.HandlerFunc(s.sign)))
	s.HandleFunc("GET /upload", s.uploadForm)
	s.Handle("POST /upload", sameOrigin(http.HandlerFunc(s.upload)))
	s.HandleFunc("GET /download", download)
	s.HandleFunc("GET /slow", slow)
	s.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("somebody asked for /panic") })
	// nginx or, with static-root, the server answers these before they come here. Without
	// either the first look has its colours all the same.
	s.Handle("GET /static/", http.FileServerFS(files))
	s.HandleFunc("GET /", s.notFound)
	return s, nil
}

// Close is called by the worker after its last request.
func (s *site) Close() error { return s.book.Close() }

func (s *site) index(w http.ResponseWriter, r *http.Request) {
	s.showBook(w, r, http.StatusOK, form{})
}

// sign adds an entry and sends the browser back with a GET, so that a reload of the
// page does not post again.
func (s *site) sign(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.showBook(w, r, http.StatusBadRequest, form{Problem: "The form did not arrive whole."})
		return
	}
	e := entry{Time: time.Now().UTC(), Name: r.PostForm.Get("name"), Message: r.PostForm.Get("message")}
	if problem := e.check(); problem != "" {
		s.showBook(w, r, http.StatusUnprocessableEntity, form{Typed: e, Problem: problem})
		return
	}
	if err := s.book.add(e); err != nil {
		s.broken(w, r, fmt.Errorf("write the guest book: %w", err))
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) showBook(w http.ResponseWriter, r *http.Request, status int, f form) {
	entries, err := s.book.latest()
	if err != nil {
		s.broken(w, r, fmt.Errorf("read the guest book: %w", err))
		return
	}
	f.Entries, f.MaxName, f.MaxMessage = entries, maxName, maxMessage
	s.render(w, r, status, "index.html", "Guest book", f)
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusNotFound, "notfound.html", "Not found", nil)
}

func (s *site) broken(w http.ResponseWriter, r *http.Request, err error) {
	log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
	http.Error(w, "Something is broken on our side.", http.StatusInternalServerError)
}

// render executes the template into memory first: a page that breaks halfway is a 500,
// not half a page.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) {
	var out bytes.Buffer
	p := page{Title: title, Path: r.URL.Path, Process: os.Getpid(), Data: data}
	if err := s.pages.ExecuteTemplate(&out, name, p); err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	io.Copy(w, &out)
}
