package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/seed17661985/ostler/server/collect"
	"github.com/seed17661985/ostler/server/config"
	"github.com/urfave/cli/v2"
)

func collectCommand(apps []App) *cli.Command {
	return subcommand("collectstatic", "copy the static files of all apps, and of static-dirs, to static-root",
		func(c *cli.Context) error { return runCollect(c, apps) }, CollectFlags()...)
}

// CollectFlags are the flags of the command collectstatic, beside --config.
func CollectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and do nothing"},
		&cli.BoolFlag{Name: "clear", Usage: "remove what an earlier run has put there and is not wanted any more"},
		&cli.BoolFlag{Name: "link", Usage: "make hard links instead of copies, where that is possible"},
	}
}

// runCollect needs no app to be served, so it does not look for module: a program may be asked
// to collect before its configuration is complete.
func runCollect(c *cli.Context, apps []App) error {
	if err := checkApps(apps); err != nil {
		return &usageError{err}
	}
	cfg, err := loadConfig(configPath(c))
	if err != nil {
		return err
	}
	if cfg.StaticRoot == "" {
		return &usageError{fmt.Errorf("%s: static-root is not set: name the folder to collect into", orDefault(cfg.File, "no --config"))}
	}
	sources, closeAll, err := collectSources(apps, cfg)
	defer closeAll()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := collect.Options{
		Root: cfg.StaticRoot, Sources: sources, Hashed: cfg.StaticHashed, Umask: fs.FileMode(cfg.Umask),
		DryRun: c.Bool("dry-run"), Clear: c.Bool("clear"), Link: c.Bool("link"),
		Note: func(line string) { fmt.Fprintln(c.App.Writer, line) },
	}
	if prefix, ours := collectedPrefix(cfg); ours {
		o.URL = prefix + "/"
	}
	done, err := collect.Run(ctx, o)
	if err != nil {
		return fmt.Errorf("collectstatic: %w", err)
	}
	printCollected(c.App.Writer, cfg.StaticRoot, o, done)
	return nil
}

// collectSources are the apps, in the order of main, and then static-dirs.
func collectSources(apps []App, cfg config.Config) (all []collect.Source, closeAll func(), err error) {
	var roots []*os.Root
	closeAll = func() {
		for _, r := range roots {
			_ = r.Close() // only read
		}
	}
	for _, a := range apps {
		if a.Static != nil {
			all = append(all, collect.Source{Name: fmt.Sprintf("app %q", a.Name), FS: a.Static})
		}
	}
	for _, dir := range cfg.StaticDirs {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, closeAll, fmt.Errorf("%s: static-dirs: %w", cfg.File, err)
		}
		roots = append(roots, root)
		all = append(all, collect.Source{Name: dir, FS: root.FS()})
	}
	if len(all) == 0 {
		err = errors.New("there is nothing to collect: no app of this program has static files (App.Static in main), and static-dirs is not set")
		return nil, closeAll, fmt.Errorf("%s: %w", cfg.File, err)
	}
	return all, closeAll, nil
}

func printCollected(w io.Writer, root string, o collect.Options, r collect.Result) {
	names := make([]string, len(o.Sources))
	for i, s := range o.Sources {
		names[i] = s.Name
	}
	if o.DryRun {
		fmt.Fprint(w, "dry run, nothing was changed: ")
	}
	fmt.Fprintf(w, "%s: %d files from %s: %d copied, %d linked, %d unchanged, %d compressed, %d removed\n",
		root, r.Files, strings.Join(names, ", "), r.Copied, r.Linked, r.Unchanged, r.Compressed, r.Removed)
}
