package main

import (
	"fmt"
	"runtime"

	"github.com/seed17661985/ostler/server"
	"github.com/urfave/cli/v2"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version", HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "ostler %s %s %s/%s\n", server.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
