package server

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed17661985/ostler/stats/appmetrics"
)

// App is one application that a configuration file can name with its module
// key.
type App struct {
	// Name is what `module` in the configuration says. Required.
	Name string

	// New builds the handler, in every worker process and never in the master.
	// Its context ends when the worker is asked to stop, before its requests are
	// drained. An error or a panic keeps this worker from becoming ready; its
	// text reaches the operator. A handler that is also an io.Closer is closed
	// after the drain. Required.
	New func(ctx context.Context) (http.Handler, error)

	// Static are the app's static files, for collectstatic: embedded (fs.Sub of an
	// embed.FS) or in a folder (os.DirFS). All apps share one tree, so a folder named like
	// the app keeps their names apart. Nil means that it has none.
	Static fs.FS

	// Gatherer is the registry of the app's metrics. The stats address shows them
	// at /metrics, summed over all workers. Nil means prometheus.DefaultGatherer;
	// apps of one program may share a registry. For none at all, give it an empty
	// prometheus.NewRegistry().
	Gatherer prometheus.Gatherer

	// Gauges says which gauges are not to be summed, by their name or, with a *
	// at the end, by how their names begin. Counters and histograms are always
	// sums.
	Gauges map[string]GaugeMerge
}

// Handler is the App of a handler that has nothing to open.
func Handler(name string, h http.Handler) App {
	return App{Name: name, New: func(context.Context) (http.Handler, error) { return h, nil }}
}

// checkApps refuses a registration no configuration file could make sense of.
func checkApps(apps []App) error {
	seen := make(map[string]bool, len(apps))
	for i, a := range apps {
		switch {
		case a.Name == "":
			return fmt.Errorf("app %d has no name: set App.Name in main", i+1)
		case a.New == nil:
			return fmt.Errorf("app %q has no New function: set App.New in main", a.Name)
		case seen[a.Name]:
			return fmt.Errorf("app %q is registered twice in main", a.Name)
		}
		if err := appmetrics.Rules(a.Gauges).Check(); err != nil {
			return fmt.Errorf("app %q: App.Gauges in main: %w", a.Name, err)
		}
		seen[a.Name] = true
	}
	if len(apps) == 0 {
		return fmt.Errorf("no app is registered: call server.Main(server.Handler(name, handler)) in main")
	}
	return nil
}

// findApp resolves the module key. Without one, the only registered app is
// meant.
func findApp(apps []App, module string) (App, error) {
	if module == "" && len(apps) == 1 {
		return apps[0], nil
	}
	i := slices.IndexFunc(apps, func(a App) bool { return a.Name == module })
	switch {
	case i >= 0:
		return apps[i], nil
	case module == "":
		return App{}, fmt.Errorf("module is not set and this program has several apps: set it to one of %s", appNames(apps))
	}
	return App{}, fmt.Errorf("module %q is not in this program, which has %s", module, appNames(apps))
}

func appNames(apps []App) string {
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = fmt.Sprintf("%q", a.Name)
	}
	return strings.Join(names, ", ")
}
