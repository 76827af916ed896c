package proxyconf

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed17661985/ostler/server/config"
)

// Options are what a server's configuration does not know.
type Options struct {
	ServerName string // host name of the site; "" is any
	Listen     string // port, or host:port; "" is 80, or with a Cert 443
	Cert, Key  string // PEM files; both or none

	// Upstreams are the servers of several machines. None: the socket of the configuration.
	Upstreams []Upstream

	// Standalone makes a whole configuration of it that runs without root in a folder, instead of
	// a part for a front end that is installed. nginx only.
	Standalone bool
}

// Upstream is one of several servers.
type Upstream struct {
	Addr   string // host:port, or the path of a unix socket
	Weight int    // 0 is 1
	Backup bool   // asked only when all others are down
}

// ParseUpstream reads "host:port", "host:port weight=3" or "host:port backup".
func ParseUpstream(s string) (Upstream, error) {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return Upstream{}, errors.New("an upstream is empty, want host:port")
	}
	a, err := config.ParseAddress(fields[0])
	if err != nil {
		return Upstream{}, fmt.Errorf("upstream: %w", err)
	}
	if host, _, _ := net.SplitHostPort(a.Addr); a.Network == "tcp" && host == "" {
		return Upstream{}, fmt.Errorf("upstream %q: name the machine, as in 10.0.0.1%s", s, a.Addr)
	}
	if a.Network == "unix" && !filepath.IsAbs(a.Addr) {
		return Upstream{}, fmt.Errorf("upstream %q: want host:port, or the whole path of a unix socket", s)
	}
	u := Upstream{Addr: a.Addr}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		switch {
		case f == "backup":
			u.Backup = true
		case name == "weight":
			if u.Weight, err = strconv.Atoi(value); err != nil || u.Weight < 1 || u.Weight > 256 {
				return Upstream{}, fmt.Errorf("upstream %q: weight is a number from 1 to 256", s)
			}
		default:
			return Upstream{}, fmt.Errorf("upstream %q: %q is neither weight=N nor backup", s, f)
		}
	}
	return u, nil
}

// site is what the templates see.
type site struct {
	Options
	File      string // name of the configuration it comes from
	Name      string // of the group of servers
	Uwsgi     bool   // else http
	Servers   []Upstream
	BodyLimit int64         // bytes; 0 is none
	Wait      time.Duration // the longest an answer may take to begin
	Static    []alias
	Internal  []alias // what handlers send by X-Accel-Redirect
}

// alias is a folder that the front end serves by itself.
type alias struct {
	URL, Dir string // "/static/", "/srv/site/static/": both with a slash at the end
	Hashed   bool   // names with a hash of the content are kept for ever
}

// aliases are the folders of cfg that have a prefix of their own. One that is looked for in
// several folders, or everywhere, is the server's to find.
func aliases(cfg config.Config) (public, internal []alias) {
	if cfg.StaticRoot != "" && strings.HasPrefix(cfg.StaticURL, "/") {
		public = append(public, alias{slashed(cfg.StaticURL), slashed(cfg.StaticRoot), cfg.StaticHashed})
	}
	for _, a := range cfg.StaticMaps {
		public = append(public, alias{URL: slashed(a.Prefix), Dir: slashed(a.Path)})
	}
	places := make(map[string]int)
	for _, a := range public {
		places[a.URL]++
	}
	public = slices.DeleteFunc(public, func(a alias) bool { return a.URL == "/" || places[a.URL] > 1 })
	for _, a := range cfg.AccelRedirect {
		internal = append(internal, alias{URL: slashed(a.Prefix), Dir: slashed(a.Path)})
	}
	return public, internal
}

func slashed(s string) string { return strings.TrimRight(s, "/") + "/" }

// within makes folders relative to the one that a configuration that stands alone is run in.
func within(folder string, list []alias) {
	for i := range list {
		if rel, err := filepath.Rel(folder, list[i].Dir); err == nil && filepath.IsLocal(rel) {
			list[i].Dir = slashed(rel)
		}
	}
}

func newSite(cfg config.Config, o Options) (*site, error) {
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("a certificate and its key belong together: give both or none")
	}
	s := &site{Options: o, File: filepath.Base(cfg.File), Name: nameOf(cfg), BodyLimit: int64(cfg.LimitPost), Wait: waitOf(cfg), Servers: o.Upstreams}
	if s.Listen == "" {
		s.Listen = "80"
		if o.Cert != "" {
			s.Listen = "443"
		}
	}
	s.Static, s.Internal = aliases(cfg)
	if o.Standalone {
		within(filepath.Dir(cfg.File), s.Static)
		within(filepath.Dir(cfg.File), s.Internal)
	}
	socket, err := choose(cfg.Sockets, len(o.Upstreams) > 0)
	if err != nil {
		return nil, err
	}
	s.Uwsgi = socket.Proto == "uwsgi"
	if len(s.Servers) == 0 {
		s.Servers = []Upstream{{Addr: reachable(socket.Address)}}
	}
	for i := range s.Servers {
		s.Servers[i].Weight = max(s.Servers[i].Weight, 1)
	}
	return s, s.plain()
}

// plain refuses what would mean something in the language of a front end. No name or path of a
// deployment needs it, and each of those languages quotes in another way.
func (s *site) plain() error {
	texts := []string{s.ServerName, s.Listen, s.Cert, s.Key, s.File}
	for _, u := range s.Servers {
		texts = append(texts, u.Addr)
	}
	for _, a := range slices.Concat(s.Static, s.Internal) {
		texts = append(texts, a.URL, a.Dir)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || strings.ContainsRune(";{}\"'`\\#$|<>", r) }) {
			return fmt.Errorf("%q has a space or a character that front ends give a meaning: use a name without", text)
		}
	}
	return nil
}

// choose takes the first socket that a front end can speak to. On other machines only the
// protocol counts.
func choose(sockets []config.Socket, elsewhere bool) (config.Socket, error) {
	for _, s := range sockets {
		if s.Proto != "https" && (elsewhere || !s.Address.IsAbstract()) {
			return s, nil
		}
	}
	return config.Socket{}, errors.New("no front end can speak to the sockets of this file: add a socket (uwsgi) or http-socket with a path or host:port")
}

// reachable is the address for whoever is on the same machine.
func reachable(a config.Address) string {
	host, port, err := net.SplitHostPort(a.Addr)
	if a.Network != "tcp" || err != nil {
		return a.Addr
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// nameOf makes a word of the app's name, or of the file's.
func nameOf(cfg config.Config) string {
	name := cfg.Module
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(cfg.File), filepath.Ext(cfg.File))
	}
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(word, "_") == "" {
		return "app"
	}
	return word
}

// leeway is for the way between the front end and us.
const leeway = 5 * time.Second

// waitOf is the longest an answer may take to begin, so that it is ostler that says 503 or 504,
// and its log that tells why. Without a limit there it is the front ends' own, a minute.
func waitOf(cfg config.Config) time.Duration {
	longest := cfg.Harakiri
	for _, m := range cfg.Mounts {
		longest = max(longest, m.Harakiri)
	}
	return max(time.Minute, time.Duration(cfg.QueueTimeout+longest)+leeway)
}

// Unix reports whether u is a unix socket.
func (u Upstream) Unix() bool { return strings.HasPrefix(u.Addr, "/") }
