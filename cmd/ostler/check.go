package main

import (
	"github.com/urfave/cli/v2"
)

// checkCommand asks the program that the file names: only that program knows
// its own schema and apps.
func checkCommand() *cli.Command {
	return command("check", "check a configuration file with the program it names", func(c *cli.Context, path string) error {
		return handOver(c.Context, path, "check")
	})
}
