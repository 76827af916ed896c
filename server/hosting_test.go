package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/server/config"
)

// closable records that it was closed.
type closable struct {
	http.Handler
	close func() error
}

func (c closable) Close() error { return c.close() }

func TestHostBuildsOnceAndClosesBackwards(t *testing.T) {
	t.Parallel()
	var order []string
	app := func(name string, err error) App {
		return App{Name: name, New: func(context.Context) (http.Handler, error) {
			order = append(order, "+"+name)
			if err != nil {
				return nil, err
			}
			return closable{http.NotFoundHandler(), func() error {
				order = append(order, "-"+name)
				return errors.New("too tired")
			}}, nil
		}}
	}
	broken := app("broken", errors.New("no database"))
	panicking := App{Name: "panicking", New: func(context.Context) (http.Handler, error) { panic("on fire") }}
	empty := App{Name: "empty", New: func(context.Context) (http.Handler, error) { return nil, nil }}
	apps := []App{app("a", nil), app("b", nil), broken, panicking, empty}

	h, err := host(t.Context(), apps, config.Config{Module: "a", Mounts: []config.Mount{{Path: "/b", Module: "b"}, {Path: "/c", Module: "a"}}}, nil, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	if len(h.startup) != 3 {
		t.Errorf("%d startup times for three places", len(h.startup))
	}
	if err := h.close(); err == nil || err.Error() != "app \"b\": too tired\napp \"a\": too tired" {
		t.Errorf("close: %v", err)
	}
	if got := strings.Join(order, " "); got != "+a +b -b -a" {
		t.Errorf("order %s", got)
	}

	for name, want := range map[string]string{"broken": `app "broken": no database`, "panicking": `app "panicking": panic: on fire`, "empty": `app "empty": neither a handler`} {
		order = nil
		_, err := host(t.Context(), apps, config.Config{Module: "a", Mounts: []config.Mount{{Path: "/b", Module: name}, {Path: "/c", Module: "b"}}}, nil, hclog.NewNullLogger())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if got := strings.Join(order, " "); !strings.HasPrefix(got, "+a") || !strings.HasSuffix(got, "-a") || strings.Contains(got, "b ") && name != "broken" {
			t.Errorf("%s: order %s: what was built must be closed, and no more built", name, got)
		}
	}
}

func TestEveryUnknownAppIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	apps := []App{Handler("a", http.NotFoundHandler())}
	cfg := config.Config{File: "/x.toml", Module: "b", Mounts: []config.Mount{{Path: "/a", Module: "a", Line: 5}, {Path: "/c", Module: "c", Line: 9}}}
	err := resolveApps(apps, &cfg)
	want := "/x.toml: module \"b\" is not in this program, which has \"a\"\n/x.toml:9: mount[1]: module \"c\" is not in this program, which has \"a\""
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
	alone := config.Config{Mounts: []config.Mount{{Path: "/a", Module: "a", Line: 5}}}
	if err := resolveApps(apps, &alone); err != nil || alone.Module != "" {
		t.Errorf("mounts without a module: %v, module %q: nothing is at the root then", err, alone.Module)
	}
}
