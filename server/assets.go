package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/forwarded"
	"github.com/seed17661985/ostler/server/static"
	"github.com/seed17661985/ostler/server/uwsgi"
)

// assets is what a worker's apps can ask about static files. It is in the contexts of New
// and of every request.
type assets struct {
	url      string          // with a slash at its end
	manifest static.Manifest // of static-root
	front    []config.Alias  // accel-redirect
	ctx      context.Context // with the assets in it, for servers to begin with
}

type assetsKey struct{}

// loadAssets reads what collectstatic has left for the workers. It is nil where nothing is
// configured.
func loadAssets(cfg config.Config) (*assets, error) {
	if cfg.StaticRoot == "" && len(cfg.AccelRedirect) == 0 && cfg.StaticURL == config.DefaultStaticURL {
		return nil, nil
	}
	a := &assets{url: cfg.StaticURL, front: cfg.AccelRedirect}
	a.ctx = context.WithValue(context.Background(), assetsKey{}, a)
	if cfg.StaticRoot == "" {
		return a, nil
	}
	root, err := os.OpenRoot(cfg.StaticRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: static-root: %s is not there: run collectstatic first", cfg.File, cfg.StaticRoot)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: static-root: %w", cfg.File, err)
	}
	defer root.Close()
	if a.manifest, err = static.ReadManifest(root); err != nil {
		return nil, fmt.Errorf("%s: static-root: %w", cfg.File, err)
	}
	a.manifest.Files = nil // the collector's
	if cfg.StaticHashed && len(a.manifest.Assets) == 0 {
		return nil, fmt.Errorf("%s: static-hashed: no hashed names are in %s: run collectstatic first", cfg.File, cfg.StaticRoot)
	}
	return a, nil
}

// with puts the assets into ctx; nil leaves it as it is.
func (a *assets) with(ctx context.Context) context.Context {
	if a == nil {
		return ctx
	}
	return context.WithValue(ctx, assetsKey{}, a)
}

// base is http.Server.BaseContext.
func (a *assets) base() func(net.Listener) context.Context {
	if a == nil {
		return nil
	}
	return func(net.Listener) context.Context { return a.ctx }
}

// connContext is uwsgi.Server.ConnContext: a context of its own for each connection would be
// an allocation for each request.
func (a *assets) connContext(next func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	if a == nil {
		return next
	}
	return func(_ context.Context, c net.Conn) context.Context { return next(a.ctx, c) }
}

func assetsOf(ctx context.Context) *assets {
	a, _ := ctx.Value(assetsKey{}).(*assets)
	return a
}

// StaticURL is the address of a static file, "css/app.css", for a page: with static-hashed the
// one that may be kept for ever. ctx is that of App.New or of a request; from any other one,
// and without a configuration, it is below /static/. A name that was not collected is
// given back as it is, below the same address.
//
//	template.FuncMap{"static": func(name string) string { return server.StaticURL(ctx, name) }}
func StaticURL(ctx context.Context, name string) string {
	name, base := strings.TrimLeft(name, "/"), config.DefaultStaticURL
	if a := assetsOf(ctx); a != nil {
		base = a.url
		if hashed, ok := a.manifest.Assets[name]; ok {
			name = hashed
		}
	}
	return base + (&url.URL{Path: name}).EscapedPath()
}

// SendFile answers a request with a file, or the part of it that is asked for. Where nginx is
// in front and the file is in a folder of accel-redirect, nginx sends it (X-Accel-Redirect) and
// the slot is free at once. What is not a file that can be read is answered 404; 503 if the
// process or the machine has no descriptor left for it, or the disk gives an error.
//
// The header is the handler's to set before: Content-Type, if the name does not tell it,
// Content-Disposition, Cache-Control. So is the name: what comes from a client is checked with
// filepath.IsLocal first. Relative names begin at chdir.
func SendFile(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	if to, ok := accelerated(r, name); ok {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", static.TypeOf(name))
		}
		h.Set("X-Accel-Redirect", to)
		w.WriteHeader(http.StatusOK)
		return
	}
	f, err := static.OpenFile(name)
	switch {
	case err == nil:
		f.ServeHTTP(w, r)
	case static.Unavailable(err):
		insteadOfFile(w, http.StatusServiceUnavailable, "the file cannot be opened now")
	default:
		insteadOfFile(w, http.StatusNotFound, "404 page not found")
	}
}

// insteadOfFile takes back what the handler has said of the file: nobody is to keep this answer.
func insteadOfFile(w http.ResponseWriter, status int, text string) {
	for _, name := range []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Etag", "Expires", "Last-Modified"} {
		w.Header().Del(name)
	}
	http.Error(w, text, status)
}

// accelerated is the front end's location of a file, if it has one and is there.
func accelerated(r *http.Request, name string) (string, bool) {
	a := assetsOf(r.Context())
	if a == nil || len(a.front) == 0 || uwsgi.VarsOf(r) == nil && forwarded.Scheme(r) == "" {
		return "", false
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", false
	}
	for _, f := range a.front {
		rest, ok := strings.CutPrefix(abs, strings.TrimSuffix(f.Path, "/")+"/")
		if ok {
			return (&url.URL{Path: f.Prefix + "/" + rest}).EscapedPath(), true
		}
	}
	return "", false
}
