package proxyconf

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/seed17661985/ostler/server/config"
)

//go:embed templates
var templates embed.FS

// Kinds are the front ends there is a configuration for.
func Kinds() []string { return []string{"nginx", "apache", "lighttpd", "haproxy", "caddy"} }

// Write writes the configuration of a front end, one of Kinds, for the server of cfg.
func Write(w io.Writer, kind string, cfg config.Config, o Options) error {
	if !slices.Contains(Kinds(), kind) {
		return fmt.Errorf("there is no configuration for %q, only for %s", kind, strings.Join(Kinds(), ", "))
	}
	s, err := newSite(cfg, o)
	if err != nil {
		return err
	}
	if err := s.suits(kind); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	file := kind
	if o.Standalone {
		file = "standalone"
	}
	t, err := template.New("").Funcs(functions()).ParseFS(templates, "templates/*.tmpl")
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, file+".tmpl", s)
}

// suits says what a front end cannot do. What it would leave out in silence is refused.
func (s *site) suits(kind string) error {
	weighed := func(u Upstream) bool { return u.Weight > 1 || u.Backup }
	switch {
	case s.Standalone && kind != "nginx":
		return errors.New("only nginx has a configuration that stands alone")
	case s.Uwsgi && (kind == "haproxy" || kind == "caddy"):
		return errors.New("it speaks http only: put an http-socket into the file, before the socket")
	case len(s.Internal) > 0 && kind != "nginx":
		return errors.New("it does not know X-Accel-Redirect: take accel-redirect out of the file, and the workers send those files")
	case (kind == "caddy" || kind == "lighttpd") && slices.ContainsFunc(s.Servers, weighed):
		return errors.New("it has no weights and no backup: leave them out, or use nginx, HAProxy or Apache")
	case kind == "lighttpd" && s.Cert == "" && s.Listen != "80":
		return errors.New("where it listens without TLS is server.port of its main file: leave --listen out")
	case (kind == "lighttpd" || kind == "haproxy") && s.ServerName != "":
		return errors.New("the part for it answers for every host: leave --server-name out")
	case kind == "apache" && len(s.Servers) > 1 && slices.ContainsFunc(s.Servers, Upstream.Unix):
		return errors.New("its balancer takes no unix sockets: use host:port")
	}
	return nil
}

func functions() template.FuncMap {
	return template.FuncMap{
		"seconds":   func(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) },
		"nginxSize": nginxSize,
		"kib":       func(n int64) int64 { return (n + 1023) >> 10 },
		"host":      func(addr string) string { h, _, _ := net.SplitHostPort(addr); return h },
		"port":      portOf,
		"quote":     func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` },
		"trimSlash": func(s string) string { return strings.TrimSuffix(s, "/") },
		"add":       func(a, b int) int { return a + b },
		"regex":     regexp.QuoteMeta,
	}
}

func portOf(listen string) string {
	if _, port, err := net.SplitHostPort(listen); err == nil {
		return port
	}
	return listen
}

// nginxSize writes bytes as nginx does; 0 is no limit there too.
func nginxSize(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dm", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dk", n>>10)
	}
	return fmt.Sprint(n)
}
