package main

import (
	"context"
	"fmt"
	"os"

	"github.com/seed17661985/ostler/server"
	"github.com/urfave/cli/v2"
)

// run is the command without the exit.
func run(ctx context.Context, args []string) int {
	app := &cli.App{
		Name: "ostler", HelpName: "ostler", Usage: "the application server for Go handlers",
		Commands:        append([]*cli.Command{runCommand(), checkCommand(), collectCommand(), importCommand(), nginxCommand(), proxyCommand(), versionCommand()}, server.Commands()...),
		Action:          noCommand,
		HideHelpCommand: true, HideVersion: true,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return server.UsageError(err) },
	}
	return server.Report(os.Stderr, "ostler", app.RunContext(ctx, args))
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return server.UsageError(fmt.Errorf("unknown command %q: see ostler --help", name))
	}
	return cli.ShowAppHelp(c)
}

// command is a sub-command that takes a configuration file and perhaps further flags.
func command(name, usage string, action func(c *cli.Context, path string) error, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, HideHelpCommand: true,
		Flags: append([]cli.Flag{&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "TOML `FILE`; without it an embedded default"}}, flags...),
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return server.UsageError(fmt.Errorf("%w: see ostler %s --help", err, name))
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return server.UsageError(fmt.Errorf("%s takes no argument %q: see ostler %s --help", name, c.Args().First(), name))
			}
			return action(c, c.String("config"))
		},
	}
}
