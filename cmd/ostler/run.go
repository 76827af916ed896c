package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/config"
	"github.com/urfave/cli/v2"
)

// runCommand replaces this process by the program that the file names, so that
// process trees, signals and exit codes are that program's own. A file without
// binary hosts the demo app.
func runCommand() *cli.Command {
	return command("run", "run the program named by binary = \"...\" in the file, or a demo app", func(c *cli.Context, path string) error {
		return handOver(c.Context, path)
	})
}

// handOver becomes the program of the file with these arguments before its
// --config. It returns only if there is no such program.
func handOver(ctx context.Context, path string, args ...string) error {
	binary, module, err := peek(path)
	if err != nil {
		return err
	}
	if binary == "" && needsModule(args) && module != "" && module != demo().Name {
		return server.UsageError(fmt.Errorf("%s: module %q is not in ostler: name the program that has it with binary = \"...\", or start that program", path, module))
	}
	if path != "" {
		args = append(args, "--config", path)
	}
	if binary == "" {
		return server.Command(ctx, append([]string{"ostler"}, args...), demo())
	}
	err = syscall.Exec(binary, append([]string{binary}, args...), os.Environ())
	return fmt.Errorf("%s: run binary %s: %w", path, binary, err)
}

// needsModule: whose files are collected does not depend on which app is served, and
// static-dirs are collected without any.
func needsModule(args []string) bool { return len(args) == 0 || args[0] != collectName }

// peek reads the keys that this command needs. Everything else in the file is
// judged by the program it belongs to.
func peek(path string) (binary, module string, err error) {
	if path == "" {
		return "", "", nil
	}
	cfg, err := config.Peek(path)
	return cfg.Binary, cfg.Module, err
}
