package proxyconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed17661985/ostler/server/config"
)

// checker is how a front end judges a file.
type checker struct {
	program string
	args    []string // before the file
	whole   string   // a file around the part; %s is the part's name
}

// modules is where Debian has Apache's.
const modules = "/usr/lib/apache2/modules"

func checkerOf(kind string) checker {
	switch kind {
	case "nginx":
		return checker{program: "nginx", args: []string{"-t", "-q", "-e", "stderr", "-c"}}
	case "apache":
		var load strings.Builder
		for _, m := range strings.Fields("mpm_event authz_core proxy proxy_uwsgi proxy_http headers slotmem_shm proxy_balancer lbmethod_byrequests alias expires socache_shmcb ssl") {
			fmt.Fprintf(&load, "LoadModule %s_module %s/mod_%s.so\n", m, modules, m)
		}
		return checker{program: "apache2", args: []string{"-t", "-f"}, whole: load.String() + "ServerName localhost\nErrorLog /dev/stderr\nInclude %s\n"}
	case "lighttpd":
		return checker{program: "lighttpd", args: []string{"-tt", "-f"}, whole: "server.document-root = \"/\"\nserver.modules = ( )\ninclude \"%s\"\n"}
	case "haproxy":
		return checker{program: "haproxy", args: []string{"-c", "-q", "-f"}}
	}
	return checker{program: "caddy", args: []string{"validate", "--adapter", "caddyfile", "--config"}}
}

// Check asks the front end itself, which has to be installed, about what Write writes. It
// starts nothing and leaves nothing.
func Check(ctx context.Context, kind string, cfg config.Config, o Options) (err error) {
	o.Standalone = kind == "nginx"
	var text bytes.Buffer
	if err := Write(&text, kind, cfg, o); err != nil {
		return err
	}
	c := checkerOf(kind)
	program, err := find(c.program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ostler-check-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := c.lay(dir, text.Bytes())
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append(c.args, file)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	if kind == "nginx" {
		cmd.Args = append(cmd.Args, "-p", dir)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s refuses the configuration: %w\n%s", c.program, err, out)
	}
	return nil
}

// lay writes the files of a check, and gives the one to check.
func (c checker) lay(dir string, part []byte) (string, error) {
	name := filepath.Join(dir, "part.conf")
	err := errors.Join(os.Mkdir(filepath.Join(dir, "run"), 0o755), os.WriteFile(name, part, 0o600))
	if err != nil || c.whole == "" {
		return name, err
	}
	whole := filepath.Join(dir, "whole.conf")
	return whole, os.WriteFile(whole, fmt.Appendf(nil, c.whole, name), 0o600)
}

// find looks where web servers are installed too: sbin is not on everybody's path.
func find(program string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed here, so nobody can check its configuration: leave --check out", program)
}
