package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/static"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/pool"
)

// resolveApps finds what the configuration names among the registered apps, and
// completes cfg: from here on an empty Module means that nothing is served at the
// root.
func resolveApps(apps []App, cfg *config.Config) error {
	var errs []error
	if cfg.Module != "" || len(cfg.Mounts) == 0 {
		app, err := findApp(apps, cfg.Module)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cfg.File, err))
		}
		cfg.Module = app.Name
	}
	for n, m := range cfg.Mounts {
		if _, err := findApp(apps, m.Module); err != nil {
			errs = append(errs, &config.Error{File: cfg.File, Line: m.Line, Key: fmt.Sprintf("mount[%d]", n), Msg: err.Error()})
		}
	}
	return errors.Join(errs...)
}

// appsOf lists the places at which cfg serves apps. The order is the contract
// between the master, which names the numbers of the scoreboard, and the workers,
// which count by them.
func appsOf(cfg config.Config) []stats.App {
	var all []stats.App
	if cfg.Module != "" {
		all = append(all, stats.App{Name: cfg.Module})
	}
	for _, m := range cfg.Mounts {
		all = append(all, stats.App{Name: m.Module, Mountpoint: m.Path})
	}
	return all
}

// hosted is the apps of one worker.
type hosted struct {
	handler http.Handler // of all requests
	apps    *mounts
	files   *static.Files   // nil: there are none
	startup []time.Duration // of each of appsOf
	built   []builtApp      // in the order in which they were built
}

type builtApp struct {
	name    string
	handler http.Handler
	took    time.Duration
}

// host builds every app that cfg names, once each, wherever and how often it is
// mounted. One that cannot be built is the end of all: a worker serves everything
// or nothing.
func host(ctx context.Context, apps []App, cfg config.Config, a *assets, log hclog.Logger) (*hosted, error) {
	h := &hosted{}
	var root http.Handler
	var list []mount
	for n, place := range appsOf(cfg) {
		b, err := h.build(a.with(ctx), apps, place.Name)
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		h.startup = append(h.startup, b.took)
		handler := pool.Limited(limitsOf(cfg, place.Mountpoint), limitBody(int64(cfg.LimitPost), b.handler)) // a refusal is counted as the app's, as is every other answer in its place
		if place.Mountpoint == "" {
			root = handler
		} else {
			list = append(list, mount{path: place.Mountpoint, app: n, handler: handler})
		}
	}
	h.apps = newMounts(root, 0, list)
	h.handler = h.apps
	if err := h.withFiles(cfg, a, log); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// limitsOf is how long the requests of an app may run.
func limitsOf(cfg config.Config, mountpoint string) pool.Limits {
	l := pool.Limits{Limit: time.Duration(cfg.Harakiri), Grace: time.Duration(cfg.HarakiriGracefulTimeout)}
	for _, m := range cfg.Mounts {
		if m.Path == mountpoint {
			l.Limit = time.Duration(m.Harakiri)
		}
	}
	return l
}

// appOf says whose a request is that never got to its app.
func (h *hosted) appOf(r *http.Request) int {
	at, _, _ := h.apps.find(uwsgi.ScriptName(r), r.URL.Path)
	switch {
	case at != nil:
		return at.app
	case h.apps.root != nil:
		return h.apps.home
	}
	return scoreboard.NoApp
}

// build gives the app of that name, from before or made now.
func (h *hosted) build(ctx context.Context, apps []App, name string) (builtApp, error) {
	if n := slices.IndexFunc(h.built, func(b builtApp) bool { return b.name == name }); n >= 0 {
		return h.built[n], nil
	}
	app, err := findApp(apps, name)
	if err != nil {
		return builtApp{}, err
	}
	began := time.Now()
	handler, err := callNew(ctx, app)
	if err == nil && handler == nil {
		err = errors.New("neither a handler nor an error came from New")
	}
	if err != nil {
		return builtApp{}, fmt.Errorf("app %q: %w", name, err)
	}
	b := builtApp{name: name, handler: handler, took: time.Since(began)}
	h.built = append(h.built, b)
	return b, nil
}

// callNew makes a panic an error while its stack still stands, so that it can be
// said whose it is.
func callNew(ctx context.Context, app App) (h http.Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n\n%s", v, debug.Stack())
		}
	}()
	return app.New(ctx)
}

// close closes the apps that can be closed, the last one first: an app may use
// what an earlier one has opened.
func (h *hosted) close() error {
	errs := []error{h.closeFiles()}
	for _, b := range slices.Backward(h.built) {
		if c, ok := b.handler.(io.Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("app %q: %w", b.name, err))
			}
		}
	}
	return errors.Join(errs...)
}
