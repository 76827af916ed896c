package server

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/static"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/pool"
)

// staticName is what the files that the workers serve by themselves are called among the
// apps. uWSGI counts them as no app's, and so does each app here.
const staticName = "(static files)"

// countedOf is appsOf, and the static files behind them if there are any.
func countedOf(cfg config.Config) []stats.App {
	all := appsOf(cfg)
	if len(staticPlaces(cfg)) > 0 {
		all = append(all, stats.App{Name: staticName})
	}
	return all
}

// staticPlaces are in the order in which they are asked.
func staticPlaces(cfg config.Config) []static.Place {
	var all []static.Place
	for _, m := range cfg.StaticMaps {
		all = append(all, static.Place{Prefix: m.Prefix, Path: m.Path})
	}
	if prefix, ours := collectedPrefix(cfg); ours {
		all = append(all, static.Place{Prefix: prefix, Path: cfg.StaticRoot})
	}
	for _, dir := range cfg.CheckStatic {
		all = append(all, static.Place{Path: dir})
	}
	return all
}

// collectedPrefix is where static-root is served, if that is not elsewhere.
func collectedPrefix(cfg config.Config) (string, bool) {
	return strings.TrimSuffix(cfg.StaticURL, "/"), cfg.StaticRoot != "" && strings.HasPrefix(cfg.StaticURL, "/")
}

// openFiles opens the folders of static files as the worker's user. It is nil if there
// are none.
func openFiles(cfg config.Config, a *assets, log hclog.Logger) (*static.Files, error) {
	places := staticPlaces(cfg)
	if len(places) == 0 {
		return nil, nil
	}
	for i, p := range places {
		if prefix, ours := collectedPrefix(cfg); ours && p.Path == cfg.StaticRoot && p.Prefix == prefix {
			places[i].Lasting = a.manifest.Lasting
		}
	}
	f, err := static.Open(static.Options{Places: places, Index: cfg.StaticIndex, Unavailable: sayUnavailable(log)})
	if err != nil {
		return nil, fmt.Errorf("%s: static-map, check-static: %w", cfg.File, err)
	}
	return f, nil
}

// sayUnavailable says it once a second: where one file cannot be opened no other can.
func sayUnavailable(log hclog.Logger) func(name string, err error) {
	var next atomic.Int64
	return func(name string, err error) {
		now, due := time.Now().UnixNano(), next.Load()
		if now >= due && next.CompareAndSwap(due, now+int64(time.Second)) {
			log.Error("a static file cannot be opened, and is answered 503", "file", name, "error", err)
		}
	}
}

// fileServer answers with a file where there is one, before any app is asked.
type fileServer struct {
	files *static.Files
	app   int // the number of staticName
	next  http.Handler
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.files.Find(r, uwsgi.ScriptName(r))
	if f == nil {
		s.next.ServeHTTP(w, r)
		return
	}
	pool.Static(w, s.app)
	f.ServeHTTP(w, r)
}

// withFiles puts the static files before the apps.
func (h *hosted) withFiles(cfg config.Config, a *assets, log hclog.Logger) error {
	files, err := openFiles(cfg, a, log)
	if err != nil || files == nil {
		return err
	}
	h.files = files
	h.handler = &fileServer{files: files, app: len(h.startup), next: h.apps}
	return nil
}

// closeFiles is a part of close.
func (h *hosted) closeFiles() error {
	if h.files == nil {
		return nil
	}
	return h.files.Close()
}
