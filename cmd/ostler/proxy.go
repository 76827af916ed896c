package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/proxyconf"
	"github.com/urfave/cli/v2"
)

// nginxCommand is proxy nginx under the name that everybody looks for.
func nginxCommand() *cli.Command {
	c := proxyFlags("nginx", "print the nginx configuration for a configuration file")
	c.Flags = append(c.Flags, &cli.BoolFlag{Name: "standalone", Usage: "a whole configuration that runs without root in a folder"})
	c.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return server.UsageError(fmt.Errorf("nginx takes no argument %q: see ostler nginx --help", c.Args().First()))
		}
		return proxy(c, "nginx")
	}
	return c
}

func proxyCommand() *cli.Command {
	kinds := strings.Join(proxyconf.Kinds(), ", ")
	c := proxyFlags("proxy", "print the configuration of another front end for a configuration file: "+kinds)
	c.ArgsUsage = "FRONT-END"
	c.Action = func(c *cli.Context) error {
		if c.NArg() != 1 {
			return server.UsageError(fmt.Errorf("proxy takes one argument, behind the flags: %s", kinds))
		}
		return proxy(c, c.Args().First())
	}
	return c
}

func proxyFlags(name, usage string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "TOML `FILE`"},
			&cli.StringFlag{Name: "server-name", Usage: "host `NAME` of the site"},
			&cli.StringFlag{Name: "listen", Usage: "`PORT` or host:port (default: 80, or 443 with --tls)"},
			&cli.StringFlag{Name: "tls", Usage: "`CERT,KEY`: PEM files of a certificate and its key"},
			&cli.StringSliceFlag{Name: "upstream", Usage: "\"`HOST:PORT` [weight=N] [backup]\", once for each machine, in place of the file's own socket"},
			&cli.BoolFlag{Name: "check", Usage: "print nothing, have the front end itself check it"},
		},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return server.UsageError(fmt.Errorf("%w: see ostler %s --help", err, name))
		},
	}
}

func proxy(c *cli.Context, kind string) error {
	path := c.String("config")
	if path == "" {
		return server.UsageError(fmt.Errorf("%s: name the configuration file with --config: see ostler %s --help", c.Command.Name, c.Command.Name))
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	o := proxyconf.Options{ServerName: c.String("server-name"), Listen: c.String("listen"), Standalone: c.Bool("standalone")}
	o.Cert, o.Key, _ = strings.Cut(c.String("tls"), ",")
	for _, text := range c.StringSlice("upstream") {
		u, err := proxyconf.ParseUpstream(text)
		if err != nil {
			return server.UsageError(err)
		}
		o.Upstreams = append(o.Upstreams, u)
	}
	if c.Bool("check") {
		return proxyconf.Check(c.Context, kind, cfg, o)
	}
	var text strings.Builder // an error leaves no half of a configuration behind
	if err := proxyconf.Write(&text, kind, cfg, o); err != nil {
		return server.UsageError(err)
	}
	_, err = io.WriteString(c.App.Writer, text.String())
	return err
}
