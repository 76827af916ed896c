//go:build linux

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed peers
var peerFiles embed.FS

// module is this repository; its folder is asked of the go command, so that the benchmark
// can be started from anywhere in it.
const module = "github.com/seed17661985/ostler"

// needed names the programs that the peers and the measurements are made of, with their
// Debian packages. A benchmark without one of its peers is not run.
func needed(chosen []peer, also []string) error {
	packages := map[string]string{"wrk": "wrk", "nginx": "nginx-light"}
	if slices.Contains(also, "syscalls") {
		packages["strace"] = "strace"
	}
	for _, p := range chosen {
		switch {
		case p.name == "gunicorn":
			packages["gunicorn"] = "gunicorn"
		case strings.HasPrefix(p.name, "uwsgi-"):
			packages["uwsgi"], packages["gcc"] = "uwsgi-core uwsgi-plugin-python3", "gcc libc6-dev"
		}
	}
	var missing []string
	for program, pkg := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("missing programs, install them: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
	return nil
}

// build puts everything that the chosen peers run into dir.
func build(ctx context.Context, dir string, chosen []peer) error {
	root, err := run(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return fmt.Errorf("find the folder of %s (run this inside it): %w", module, err)
	}
	root = strings.TrimSpace(root)
	if err := writeData(filepath.Join(dir, "data")); err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin") + string(filepath.Separator)
	errs := []error{goBuild(ctx, root, bin, "./examples/bench/benchapp", "./examples/bench/nethttp")}
	for _, p := range chosen {
		switch p.name {
		case "fasthttp":
			errs = append(errs, goBuild(ctx, filepath.Join(root, "examples/bench/fasthttp"), bin, "."))
		case uwsgiSymcall:
			errs = append(errs, buildC(ctx, dir, "symcall.c", "-shared", "-fPIC", "-o", "bin/symcall.so"))
		case bareC, bareOne:
			errs = append(errs, buildC(ctx, dir, "bare.c", "-o", "bin/bare"))
		case uringC:
			errs = append(errs, buildC(ctx, dir, "uring.c", "-o", "bin/uring"))
		case "uwsgi-wsgi", "gunicorn":
			errs = append(errs, copyPeer("bench_wsgi.py", dir))
		}
	}
	return errors.Join(errs...)
}

// goBuild builds without cgo: with it a Go server would carry the C library that the
// others do not.
func goBuild(ctx context.Context, folder, bin string, packages ...string) error {
	args := append([]string{"go", "build", "-buildvcs=false", "-o", bin}, packages...)
	_, err := run(ctx, folder, append([]string{"env", "CGO_ENABLED=0"}, args...)...)
	return err
}

func buildC(ctx context.Context, dir, source string, how ...string) error {
	if err := copyPeer(source, dir); err != nil {
		return err
	}
	_, err := run(ctx, dir, append(append([]string{"gcc", "-O2", "-Wall"}, how...), source)...)
	return err
}

func copyPeer(name, dir string) error {
	text, err := peerFiles.ReadFile("peers/" + name)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

// run returns what a command printed; an error carries what it complained of.
func run(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = folder
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return string(out), nil
}
