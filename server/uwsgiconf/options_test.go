package uwsgiconf

import (
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/config"
)

// Each case is what stands below [uwsgi] beside a socket, and lines of the result.
func TestOptions(t *testing.T) {
	long := strings.Repeat("é", 150)
	for source, want := range map[string][]string{
		"protocol = http\nsocket = :1":           {`http-socket = [`, `    ":1",`, `#   replaced: protocol = http makes it an http-socket (in the list above)`},
		"protocol = fastcgi\nsocket = :1":        {`#   left out: protocol = fastcgi is not spoken here: let the web server in front use uwsgi or HTTP`},
		"protocol = uwsgi\nsocket = 10.0.0.1:1":  {`socket = "10.0.0.1:1"`, `allow-from = ["127.0.0.0/8", "::1/128"]  # uWSGI lets everybody in; add the proxies on other machines`},
		"socket = [::1]:1":                       {`socket = "[::1]:1"`},
		"socket = @x\nallow-from = 10.0.0.0/8":   {`socket = "@x"`, `allow-from = "10.0.0.0/8"`},
		"shared-socket = *:2\nhttp-socket = =0":  {`    ":2",  # made.ini:4: http-socket = =0; the address of that shared-socket; ":PORT" is all interfaces`},
		"mount = /=shop.wsgi":                    {`# mount = /=shop.wsgi (made.ini:3)`},
		"mount = /=shop.wsgi\nmount = /b=b.py":   {`module = "shop"`, `path = "/b"`, `module = "b"  # made.ini:4: mount = /b=b.py; put the name here that the program gives to the app, "b" is guessed`},
		"module = a.b:c\nmount = nowhere=x":      {`#   left out: "nowhere" does not begin with a slash`},
		"module = :app\nmount = /x=/srv/x.wsgi":  {`module = "app"`, `module = "x"  # made.ini:4: mount = /x=/srv/x.wsgi; put the name here that the program gives to the app, "x" is guessed`},
		"mount = /b=b\nmount = /b/=c":            {`#   left out: /b is mounted already, in made.ini:3`},
		"processes = 99999999999999999999":       {`#   left out: 9223372036854775807 is too many, want 1 to 1024`},
		"processes":                              {`processes = 1  # made.ini:3: processes; without a value it is 1 in uWSGI`},
		"threads = -3":                           {`#   left out: -3 is too few, want 1 to 16384`},
		"limit-post = -1":                        {`#   left out: -1 is out of range`},
		"reload-on-rss = 99999999999999":         {`#   left out: 99999999999999 is out of range`},
		"harakiri = 999999999":                   {`#   left out: 999999999s is out of range, want 0s to 8760h0m0s`},
		"http-keepalive = 30":                    {`http-keepalive = "30s"`},
		"chmod-socket = rwx":                     {`#   left out: "rwx" is no octal mode such as 660`},
		"umask = 0027":                           {`umask = "027"`},
		"logger = file:x.log":                    {`logto = "x.log"  # a path needs no "file:"; counts from chdir, or without it from the folder of this file; in uWSGI from the folder it is started in`},
		"logto = 10.0.0.1:514":                   {`#   left out: logs are not sent over UDP: log to stderr, which systemd hands to its journal, or to a file`},
		"logger = stdio":                         {`#   left out: this log plugin does not exist here: log to stderr, which systemd hands to its journal`},
		"logto = /a\nreq-logger = file:/b":       {`logto = "/a"`, `req-logger = "/b"  # made.ini:4: req-logger = file:/b; a path needs no "file:"`},
		"chdir = a\nchdir = /b":                  {`#   left out: the last one counts, which is made.ini:4`, `chdir = "/b"`},
		"chdir = \"/b\"":                         {`chdir = "\"/b\""  # counts from the folder of this file; in uWSGI from the folder it is started in`},
		"safe-pidfile = x.pid":                   {`#   replaced: use pidfile, which is written after the sockets are bound`, `pidfile = "x.pid"`},
		"uid = \"x\"":                            {`uid = "\"x\""  # the quotes belong to the value, as in uWSGI`},
		"env = A=tab\there \x01 é \\ \" \x7f":    {`A = "tab\there \u0001 é \\ \" \u007F"`},
		"env = A=\xff":                           {`#   left out: not UTF-8, which TOML demands`, "# env = A=\uFFFD (made.ini:3)"},
		"env = A=" + long:                        {`# env = A=` + strings.Repeat("é", 99) + ` ... (made.ini:3) stands at the end, below [env]`},
		"env = =x":                               {`#   left out: a variable needs a name`},
		"env = threads=5":                        {`#   left out: stands below [env] but is an option: move it above the first table`},
		"start-timeout = 5\nlog-level = debug":   {`start-timeout = 5`, `log-level = "debug"`},
		"chain-reload = true":                    {`chain-reload = true`},
		"reload-surge = 007":                     {`#   left out: want a whole number, 1 to 1024, have the string "007"`},
		"processes = 2\nvirtual = %(processes)":  {`#   left out: ostler has no such key; it is about something that does not exist here, or a mistake that uWSGI passes over`},
		"plugin = x\nenv = P=%(plugin)":          {`#   replaced: a name for a value; the value stands wherever the name is used`, `P = "x"  # made.ini:4: env = P=%(plugin)`},
		"for-glob = *.ini\nenv = G=%(_)\nendfor": {`G = "made.ini"  # made.ini:4: env = G=%(_)`},
		"for-glob = *.none\nenv = G=1\nendfor":   {`# env = G=1 (made.ini:4)`, `#   left out: for-glob = *.none has no round on this machine`},
		"for =\nenv = G=1\nendfor":               {`#   left out: for = has no round on this machine`},
		"env = D=%(a / 0)\nenv = E=%(1 +)":       {`D = "%(a / 0)"`, `E = "%(1 +)"`},
	} {
		files := map[string]string{"made.ini": "[uwsgi]\nhttp-socket = /beside\n" + source + "\n"}
		r, err := Import(filesSystem(files), "made.ini", target)
		if err != nil {
			t.Errorf("%q: %v", source, err)
			continue
		}
		if _, err := config.Parse(target, r.TOML); err != nil {
			t.Errorf("%q: %v", source, err)
		}
		for _, line := range want {
			if !strings.Contains("\n"+string(r.TOML), "\n"+line+"\n") {
				t.Errorf("%q gives\n%s\nwithout the line\n%s", source, r.TOML, line)
			}
		}
	}
}

// Nothing is served under a name that only a mount asked for, and no mount is left.
func TestModuleWithoutMounts(t *testing.T) {
	files := map[string]string{"x.ini": "[uwsgi]\nsocket = a\nmodule = shop.wsgi\nmount = nowhere=x\n"}
	r, err := Import(filesSystem(files), "x.ini", target)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := config.Parse(target, r.TOML); err != nil || c.Module != "" {
		t.Errorf("module %q, %v", c.Module, err)
	}
}

func TestYAMLAndXMLKeepComments(t *testing.T) {
	files := map[string]string{
		"x.yml": "uwsgi:\n  # where nginx comes\n  socket: &a /s\n  # the rest\n  env: [X=1, Y=2]\n  stats: ~\n  pidfile: *a\n",
		"x.xml": "<uwsgi>\n<!-- where nginx comes -->\n<socket>/s</socket>\n<!--\nthe rest\n-->\n<env>X=1</env>\n</uwsgi>",
	}
	for name := range files {
		r, err := Import(filesSystem(files), name, target)
		if err != nil {
			t.Fatal(err)
		}
		made := string(r.TOML)
		if !strings.Contains(made, "# where nginx comes\nsocket = \"/s\"\n") || strings.Count(made, "# the rest\n# env = X=1") != 1 {
			t.Errorf("%s gives\n%s", name, made)
		}
	}
}
