package main

import (
	"github.com/seed17661985/ostler/server"
	"github.com/urfave/cli/v2"
)

const collectName = "collectstatic"

// collectCommand asks the program that the file names: only that program has the files of its
// apps. Without one there are static-dirs.
func collectCommand() *cli.Command {
	return command(collectName, "copy static files to static-root, with the program that the file names", func(c *cli.Context, path string) error {
		args := []string{collectName}
		for _, f := range server.CollectFlags() {
			if name := f.Names()[0]; c.Bool(name) {
				args = append(args, "--"+name)
			}
		}
		return handOver(c.Context, path, args...)
	}, server.CollectFlags()...)
}
