package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	mib         = 1 << 20
	maxUpload   = 75 * mib // as client_max_body_size in nginx/*.conf
	maxDownload = 1024     // MiB
	maxSlow     = time.Minute
)

// digest is the answer to an upload.
type digest struct {
	Name string
	Size int64
	Sum  string
}

func (s *site) uploadForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "upload.html", "Upload", nil)
}

// upload hashes the body while it arrives; nothing is kept. It takes a form with a file
// or a bare body, and answers a browser with a page, anything else as sha256sum does.
func (s *site) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	d, err := hash(r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("More than %d MiB.", maxUpload/mib), http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		s.render(w, r, http.StatusOK, "upload.html", "Upload", d)
	default:
		fmt.Fprintf(w, "%s  %s\n", d.Sum, d.Name)
	}
}

func hash(r *http.Request) (digest, error) {
	name, body := "-", io.Reader(r.Body)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		parts, err := r.MultipartReader()
		if err != nil {
			return digest{}, fmt.Errorf("read the form: %w", err)
		}
		part, err := parts.NextPart()
		if err != nil {
			return digest{}, fmt.Errorf("read the form's file: %w", err)
		}
		name, body = part.FileName(), part
	}
	sum := sha256.New()
	size, err := io.Copy(sum, body)
	if err != nil {
		return digest{}, fmt.Errorf("read the upload: %w", err)
	}
	return digest{Name: name, Size: size, Sum: fmt.Sprintf("%x", sum.Sum(nil))}, nil
}

// download sends ?mib=N mebibytes that are the same every time and do not compress.
func download(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("mib"))
	if err != nil || n < 0 || n > maxDownload {
		http.Error(w, fmt.Sprintf("mib: want a number from 0 to %d", maxDownload), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(n*mib))
	io.CopyN(w, sameBytes(), int64(n)*mib) // the error is the client's going away
}

// sameBytes is an endless stream with a fixed seed.
func sameBytes() io.Reader {
	return rand.NewChaCha8([32]byte([]byte("the ostler takes your horse here")))
}

// slow answers after ?d=, for trying out a reload or a stop with a request on its way.
func slow(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.FormValue("d"))
	if err != nil || d < 0 || d > maxSlow {
		http.Error(w, fmt.Sprintf("d: want a duration from 0s to %s", maxSlow), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	defer cancel()
	<-ctx.Done()
	if r.Context().Err() == nil {
		fmt.Fprintf(w, "Here after %s.\n", d)
	}
}
