package worker

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/worker/accept"
	"github.com/seed17661985/ostler/worker/pool"
)

// watchedFile counts what is read of it into this process.
type watchedFile struct {
	f    *os.File
	read atomic.Int64
}

func (w *watchedFile) Read(p []byte) (int, error) {
	n, err := w.f.Read(p)
	w.read.Add(int64(n))
	return n, err
}

func (w *watchedFile) Seek(off int64, whence int) (int64, error) { return w.f.Seek(off, whence) }
func (w *watchedFile) Stat() (fs.FileInfo, error)                { return w.f.Stat() }
func (w *watchedFile) SyscallConn() (syscall.RawConn, error)     { return w.f.SyscallConn() }

// webStack is uwsgiStack of an http socket, less what tells good requests from bad ones.
func webStack(t *testing.T, h http.Handler) (socket string) {
	t.Helper()
	p := pool.New(pool.Options{Page: newPage(t, 4), SocketTimeout: time.Minute})
	socket = filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: p.Handler(h), ConnContext: p.ConnContext, ConnState: p.ConnState}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(p.Gate(accept.Keep(ln), pool.GateOptions{Grace: time.Second})) })
	t.Cleanup(func() {
		_ = srv.Close()
		p.CloseConns()
		serving.Wait()
	})
	return socket
}

// What a handler sends of a file goes from the kernel to the kernel, through all that a
// worker has in between. What is read of it is what the Content-Type is guessed from.
func TestAFileIsNotReadIntoTheWorker(t *testing.T) {
	const guessed = 512
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(w http.ResponseWriter, r *http.Request, f *watchedFile){
		"ServeContent": func(w http.ResponseWriter, r *http.Request, f *watchedFile) {
			http.ServeContent(w, r, "file", time.Time{}, f)
		},
		"Copy": func(w http.ResponseWriter, _ *http.Request, f *watchedFile) {
			w.Header().Set("Content-Length", "3145728")
			_, _ = io.Copy(w, f)
		},
	}
	for name, send := range ways {
		read := make(chan int64, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(path)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer f.Close()
			watched := &watchedFile{f: f}
			send(w, r, watched)
			read <- watched.read.Load()
		})
		web := webStack(t, h)
		dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", web) }
		for protocol, rt := range map[string]http.RoundTripper{
			"uwsgi": &uwsgi.Client{Network: "unix", Addr: uwsgiStack(t, h)},
			"http":  &http.Transport{DialContext: dial, DisableKeepAlives: true},
		} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				req, err := http.NewRequest(http.MethodGet, "http://site/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				if resp.StatusCode != http.StatusOK || err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s, %d of %d bytes, %v", resp.Status, len(got), len(content), err)
				}
				if n := <-read; n > 2*guessed { // ServeContent guesses by itself
					t.Errorf("%d of %d bytes were read", n, len(content))
				}
			})
		}
	}
}
