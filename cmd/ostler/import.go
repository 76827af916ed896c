package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/uwsgiconf"
	"github.com/urfave/cli/v2"
)

// importCommand is the way in for a deployment that runs under uWSGI.
func importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make a TOML file of a configuration of uWSGI (ini, yaml, json, xml)",
		ArgsUsage: "FILE[:SECTION]", HideHelpCommand: true,
		Flags: []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which must not be there yet; without it to stdout"}},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return server.UsageError(fmt.Errorf("%w: see ostler import --help", err))
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return server.UsageError(errors.New("import takes one file, behind the options: see ostler import --help"))
			}
			return importFile(c, c.Args().First(), c.String("output"))
		},
	}
}

// importFile writes what there is also if it cannot serve: the work is done but for a line.
func importFile(c *cli.Context, spec, output string) error {
	target := output
	if target == "" {
		target = "imported.toml" // relative paths are judged from the working directory
	}
	result, err := uwsgiconf.Import(uwsgiconf.ThisMachine(), spec, target)
	if err != nil {
		return server.UsageError(err)
	}
	if err := writeNew(c, output, result.TOML); err != nil {
		return err
	}
	if output != "" {
		fmt.Fprintf(c.App.Writer, "%s: %d carried over, %d replaced, %d left out; read it, then check it with the program\n",
			output, result.Carried, result.Replaced, result.LeftOut)
	}
	if !result.Serves {
		return server.UsageError(fmt.Errorf("%s: nothing to serve on: add socket or http-socket to what was made of it", spec))
	}
	return nil
}

// writeNew never writes over a file, which may be the work of an afternoon.
func writeNew(c *cli.Context, output string, text []byte) error {
	if output == "" {
		_, err := c.App.Writer.Write(text)
		return err
	}
	f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return server.UsageError(fmt.Errorf("%s is there already: remove it, or name another --output", output))
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
