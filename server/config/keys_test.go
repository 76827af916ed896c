package config

import (
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// keyCase is one value of one key: accepted with a result, or refused with a reason.
type keyCase struct {
	key, value string
	get        func(Config) any
	want       any
	refused    string
}

func good(key, value string, want any, get func(Config) any) keyCase {
	return keyCase{key: key, value: value, get: get, want: want}
}

func bad(key, value, reason string) keyCase {
	return keyCase{key: key, value: value, refused: reason}
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

func tcp(proto, addr string) Socket { return Socket{Proto: proto, Address: Address{"tcp", addr}} }

func unix(proto, addr string) Socket { return Socket{Proto: proto, Address: Address{"unix", addr}} }

func networks(s ...string) (out []netip.Prefix) {
	for _, one := range s {
		out = append(out, netip.MustParsePrefix(one))
	}
	return out
}

func keyCases() []keyCase { return append(generalCases(), staticCases()...) }

func generalCases() []keyCase {
	sockets := func(c Config) any { return c.Sockets[1:] } // the first is the test's own
	logTo := func(c Config) any { return c.LogTo }
	long := strings.Repeat("x", 108)
	return []keyCase{
		good("module", `"shop"`, "shop", func(c Config) any { return c.Module }),
		bad("module", `""`, "empty"), bad("module", `7`, "want a string, have the number 7"),
		good("binary", `"bin/shop"`, "/srv/app/bin/shop", func(c Config) any { return c.Binary }),
		good("mount", `[{path = "/a/", module = "b"}]`, []Mount{{Path: "/a", Module: "b", Line: 2}}, func(c Config) any { return c.Mounts }),
		bad("mount", `"/a=b"`, "uWSGI's form"), bad("mount", `7`, "want [[mount]] with path and module"), bad("mount", `{path = "/a"}`, "have a table"),
		bad("mount", `[]`, "empty array"), bad("mount", `["/a"]`, "mount[0]: want [[mount]]"),
		bad("binary", `"~/bin/shop"`, `"~" is not expanded`), bad("binary", `"$HOME/shop"`, "variables"),
		bad("binary", `"app.toml"`, "is this configuration file"),

		good("processes", `8`, 8, func(c Config) any { return c.Processes }),
		good("processes", `0x10`, 16, func(c Config) any { return c.Processes }),
		bad("processes", `0`, "0 is too few, want 1 to 1024"), bad("processes", `1025`, "1025 is too many"),
		bad("processes", `"4"`, `have the string "4"`), bad("processes", `2.5`, "have the number 2.5"),
		good("threads", `16384`, 16384, func(c Config) any { return c.Threads }),
		bad("threads", `-1`, "-1 is too few"), bad("threads", `true`, "want a whole number, 1 to 16384, have true"),
		good("cpu-affinity", `2`, 2, func(c Config) any { return c.Affinity }), bad("cpu-affinity", `0`, "too few"), bad("cpu-affinity", `"0-3"`, "want a whole number"),
		good("master", `false`, false, func(c Config) any { return c.Master }),
		bad("master", `"true"`, "want true or false without quotes"), bad("master", `1`, "true or false"),
		good("uid", `33`, "33", func(c Config) any { return c.UID }), bad("uid", `"a b"`, "neither a name nor a number"),
		bad("uid", `-1`, "neither"),
		good("gid", `"www-data"`, "www-data", func(c Config) any { return c.GID }), bad("gid", `["a"]`, "have an array"),

		good("socket", `"127.0.0.1:9000"`, []Socket{tcp("uwsgi", "127.0.0.1:9000")}, sockets),
		good("socket", `"[::1]:080"`, []Socket{tcp("uwsgi", "[::1]:80")}, sockets),
		good("socket", `"localhost:9000"`, []Socket{tcp("uwsgi", "localhost:9000")}, sockets),
		good("socket", `"run/app.sock"`, []Socket{unix("uwsgi", "/srv/app/run/app.sock")}, sockets),
		good("socket", `["app.sock", "./a:1"]`, []Socket{unix("uwsgi", "/srv/app/app.sock"), unix("uwsgi", "/srv/app/a:1")}, sockets),
		bad("socket", `[]`, "empty array"), bad("socket", `["a.sock", 5]`, "socket[1]: want a string"),
		bad("socket", `"8000"`, `want "127.0.0.1:8000" for this machine`), bad("socket", `":65536"`, "port"),
		bad("socket", `":8000"`, "can be reached from other machines"), bad("socket", `"example.com:80"`, "other machines"),
		bad("socket", `"*:80"`, `written ":80"`), bad("socket", `"::1:80"`, "IPv6"), bad("socket", `"127.0.0.256:80"`, "neither an IP"),
		bad("socket", `"http://127.0.0.1:80"`, "is a URL"), bad("socket", `"unix:/run/a"`, "write the path alone"),
		bad("socket", `"127.0.0.1:80/"`, "port"), bad("socket", `"@"`, "no name"), bad("socket", `"a\u0000b"`, "NUL"),
		bad("socket", `"/`+long+`"`, "bytes long, the kernel takes"), bad("socket", `"127.0.0.1:+80"`, "port"),
		bad("socket", `"~/a.sock"`, "not expanded"), bad("socket", `"127.0.0.1:1"`, "already taken by http-socket"),
		good("http-socket", `"./a.sock"`, unix("http", "/srv/app/a.sock"), func(c Config) any { return c.Sockets[0] }),
		good("http-socket", `":8000"`, tcp("http", ":8000"), func(c Config) any { return c.Sockets[0] }),
		bad("http-socket", `true`, "want a string, have true"), bad("http-socket", `{a = 1}`, "have a table"),
		good("https-socket", `[{address = ":8443", cert = "a.pem", key = "/b.key"}]`,
			[]Socket{{"https", Address{"tcp", ":8443"}, "/srv/app/a.pem", "/b.key"}}, sockets),
		bad("https-socket", `"127.0.0.1:8443,a.pem,a.key"`, "want [[https-socket]] with address, cert and key"), bad("https-socket", `[]`, "empty array"),
		bad("https-socket", `[{address = ":8443", cert = "a.pem"}]`, "https-socket[0]: has no key"),
		bad("https-socket", `[{address = 8443, cert = "a", key = "a"}]`, "https-socket[0].address: want a string"),
		bad("https-socket", `[{address = ":8443", cert = "~/a", key = "a"}]`, "not expanded"),
		bad("https-socket", `[{address = ":8443", cert = "", key = "a"}]`, "https-socket[0].cert: empty"),
		good("listen", `65535`, 65535, func(c Config) any { return c.Listen }), bad("listen", `0`, "too few"),
		good("chmod-socket", `"666"`, FileMode(0o666), func(c Config) any { return c.ChmodSocket }),
		bad("chmod-socket", `660`, "in quotes"), bad("chmod-socket", `"0680"`, "octal"), bad("chmod-socket", `"1777"`, "octal"),
		bad("chmod-socket", `"0"`, "nobody could connect"),
		good("chown-socket", `"root:33"`, "root:33", func(c Config) any { return c.ChownSocket }),
		good("chown-socket", `":www-data"`, ":www-data", func(c Config) any { return c.ChownSocket }),
		bad("chown-socket", `":"`, `":group"`), bad("chown-socket", `"a:"`, `":group"`), bad("chown-socket", `"a:b:c"`, `"user:group"`),
		good("allow-from", `["10.0.0.1", "fd00::/8"]`, networks("10.0.0.1/32", "fd00::/8"), func(c Config) any { return c.AllowFrom }),
		bad("allow-from", `[]`, "empty array"), bad("allow-from", `"10.1.2.3/8"`, `want "10.0.0.0/8"`), bad("allow-from", `"nginx"`, "neither"),
		bad("allow-from", `"::ffff:10.0.0.1"`, "neither"), bad("allow-from", `[1]`, "allow-from[0]: want a string"),
		good("trusted-proxies", `["10.0.0.1", "unix", "fd00::/8"]`, Peers{networks("10.0.0.1/32", "fd00::/8"), true}, func(c Config) any { return c.Trusted }),
		good("trusted-proxies", `"unix"`, Peers{Unix: true}, func(c Config) any { return c.Trusted }),
		bad("trusted-proxies", `true`, "want a string"), bad("trusted-proxies", `["unix", "nginx"]`, "trusted-proxies[1]: \"nginx\" is neither"),
		bad("trusted-proxies", `[]`, "empty array"),
		good("stats", `"s.sock"`, Address{"unix", "/srv/app/s.sock"}, func(c Config) any { return c.Stats }),
		bad("stats", `9191`, "want a string"), bad("stats", `"127.0.0.1:1"`, "already taken by http-socket"),
		good("control", `"/run/c"`, Address{"unix", "/run/c"}, func(c Config) any { return c.Control }),
		bad("control", `"127.0.0.1:9"`, "is not a path"), bad("control", `"`+long+`"`, "bytes long"),

		good("worker-reload-mercy", `90`, seconds(90), func(c Config) any { return c.WorkerReloadMercy }),
		bad("worker-reload-mercy", `0`, "too short"), bad("worker-reload-mercy", `"1d"`, "is not a duration"),
		good("upgrade-mercy", `"2s"`, seconds(2), func(c Config) any { return c.UpgradeMercy }),
		bad("upgrade-mercy", `0`, "too short"), bad("upgrade-mercy", `false`, "want a duration"),
		good("start-timeout", `"1m30s"`, seconds(90), func(c Config) any { return c.StartTimeout }),
		bad("start-timeout", `-5`, "out of range"), bad("start-timeout", `1e3`, "or whole seconds, have the number 1000"),
		bad("start-timeout", `9223372036854775807`, "is not a duration"), bad("start-timeout", `"9000h"`, "out of range"),
		good("limit-post", `"75MiB"`, Size(75<<20), func(c Config) any { return c.LimitPost }),
		good("limit-post", `"2 kB"`, Size(2000), func(c Config) any { return c.LimitPost }),
		good("limit-post", `0`, Size(0), func(c Config) any { return c.LimitPost }),
		bad("limit-post", `1048576`, `write "1048576B"`), bad("limit-post", `"512"`, "needs a unit"), bad("limit-post", `"75M"`, `unknown unit "M"`),
		bad("limit-post", `"9999999TiB"`, "too large"), bad("limit-post", `"99999999999999999999B"`, "too large"), bad("limit-post", `"-1B"`, "not a size"),
		good("header-timeout", `"500ms"`, Duration(500*time.Millisecond), func(c Config) any { return c.HeaderTimeout }),
		bad("header-timeout", `"0s"`, "too short"),
		good("socket-timeout", `1`, seconds(1), func(c Config) any { return c.SocketTimeout }), bad("socket-timeout", `"5"`, "not a duration"),
		good("http-keepalive", `0`, Duration(0), func(c Config) any { return c.HTTPKeepalive }), bad("http-keepalive", `false`, "want a duration"),
		good("queue-timeout", `"2s"`, seconds(2), func(c Config) any { return c.QueueTimeout }), bad("queue-timeout", `0`, "too short"),
		good("harakiri", `"20s"`, seconds(20), func(c Config) any { return c.Harakiri }), bad("harakiri", `"-1s"`, "out of range"),
		good("harakiri", `0`, Duration(0), func(c Config) any { return c.Harakiri }), bad("harakiri", `true`, "want a duration"),
		good("mount", `[{path = "/a", module = "b", harakiri = "5s"}]`, []Mount{{Path: "/a", Module: "b", Harakiri: seconds(5), Line: 2}}, func(c Config) any { return c.Mounts }),
		bad("mount", `[{path = "/a", module = "b", harakiri = "soon"}]`, "mount[0].harakiri: \"soon\" is not a duration"),
		good("lame-duck", `"5s"`, seconds(5), func(c Config) any { return c.LameDuck }), bad("lame-duck", `true`, "want a duration"),
		good("harakiri-graceful-timeout", `0`, Duration(0), func(c Config) any { return c.HarakiriGracefulTimeout }),
		bad("harakiri-graceful-timeout", `"x"`, "not a duration"),
		good("max-queue", `100`, 100, func(c Config) any { return c.MaxQueue }), bad("max-queue", `-1`, "too few"),
		good("queue-order", `"fifo"`, "fifo", func(c Config) any { return c.QueueOrder }),
		bad("queue-order", `"lifo"`, "not one of fifo, adaptive-lifo"), bad("queue-order", `"adaptive-lifo"`, "needs max-queue"),
		good("health-path", `"/healthz"`, []string{"/healthz"}, func(c Config) any { return c.HealthPaths }),
		good("health-path", `["/a", "/b/c"]`, []string{"/a", "/b/c"}, func(c Config) any { return c.HealthPaths }),
		bad("health-path", `["healthz"]`, "health-path[0]: \"healthz\" is not the path"), bad("health-path", `"/a?b"`, "is not the path"),
		bad("health-path", `true`, "want a string"), bad("health-path", `[]`, "empty array"),
		good("reserve-slots", `0`, 64, func(c Config) any { return c.Slots() }), bad("reserve-slots", `1025`, "too many"),

		good("logto", `"stdout"`, "stdout", logTo), good("logto", `"log/a.log"`, "/srv/app/log/a.log", logTo),
		bad("logto", `"syslog:app"`, "log plugins"), bad("logto", `5`, "want a string"), bad("logto", `"app.toml"`, "is this configuration file"),
		good("log-format", `"json"`, "json", func(c Config) any { return c.LogFormat }), bad("log-format", `"%(uri)"`, "not one of text, json"),
		good("log-level", `"debug"`, "debug", func(c Config) any { return c.LogLevel }), bad("log-level", `"loud"`, "not one of trace"),
		good("req-logger", `"/var/log/a"`, "/var/log/a", func(c Config) any { return c.ReqLogger }), bad("req-logger", `"file:/a"`, "log plugins"),
		good("req-format", `"json"`, "json", func(c Config) any { return c.ReqFormat }), bad("req-format", `"common"`, "not one of"),
		good("disable-logging", `true`, true, func(c Config) any { return c.DisableLogging }), bad("disable-logging", `"yes"`, "true or false"),

		good("chdir", `"sub"`, "/srv/app/sub", func(c Config) any { return c.Chdir }), bad("chdir", `1`, "want a string"),
		bad("chdir", `"%(base)/x"`, "placeholders"),
		good("umask", `"0177"`, FileMode(0o177), func(c Config) any { return c.Umask }),
		bad("umask", `"0"`, "umask is never 0"), bad("umask", `22`, "in quotes"), bad("umask", `"0700"`, "from the server itself"),
		good("env", `{LANG = "C"}`, map[string]string{"LANG": "C"}, func(c Config) any { return c.Env }),
		bad("env", `"LANG=C"`, "want a table"), bad("env", `{PORT = 80}`, "env.PORT: want a string"), bad("env", `{"a b" = ""}`, "white space"),
		bad("env", `{LISTEN_FDS = "1"}`, "never passes it on"), bad("env", `{logto = "x"}`, "move it above"), bad("env", `{X = "\u0000"}`, "NUL"),
		good("env-file", `"app.env"`, "/srv/app/app.env", func(c Config) any { return c.EnvFile }), bad("env-file", `[]`, "have an array"),

		good("pidfile", `"app.pid"`, "/srv/app/app.pid", func(c Config) any { return c.Pidfile }), bad("pidfile", `""`, "empty"),
		bad("pidfile", `"/`+long[:104]+`"`, "no room for the control socket"),
		good("daemonize", `"out.log"`, "/srv/app/out.log", func(c Config) any { return c.Daemonize }), bad("daemonize", `true`, "path of a log file"),
		good("vacuum", `false`, false, func(c Config) any { return c.Vacuum }), bad("vacuum", `"no"`, "true or false"),
		good("max-requests", `5000`, 5000, func(c Config) any { return c.MaxRequests }), bad("max-requests", `0`, ""),
		good("max-worker-lifetime", `"1h"`, Duration(time.Hour), func(c Config) any { return c.MaxWorkerLifetime }), bad("max-worker-lifetime", `"a day"`, ""),
		good("min-worker-lifetime", `0`, Duration(0), func(c Config) any { return c.MinWorkerLifetime }), bad("min-worker-lifetime", `"-1s"`, ""),
		good("reload-on-rss", `"512MiB"`, Size(512<<20), func(c Config) any { return c.ReloadOnRSS }), bad("reload-on-rss", `512`, "unit"),
		good("evil-reload-on-rss", `"1GiB"`, Size(1<<30), func(c Config) any { return c.EvilReloadOnRSS }), bad("evil-reload-on-rss", `true`, ""),
		good("reload-on-exception", `true`, true, func(c Config) any { return c.ReloadOnException }), bad("reload-on-exception", `"yes"`, ""),
		good("crash-dir", `"a"`, "/srv/app/a", func(c Config) any { return c.CrashDir }), bad("crash-dir", `7`, ""),
		good("cheaper", `2`, 2, func(c Config) any { return c.Cheaper }), bad("cheaper", `0`, "too few"), bad("cheaper", `9`, "9 is more than there may be, processes is 8"),
		good("cheaper-initial", `8`, 8, func(c Config) any { return c.CheaperInitial }), bad("cheaper-initial", `9`, "not from cheaper to processes, 2 to 8"),
		bad("cheaper-initial", `1`, "1 is not from cheaper"), bad("cheaper-initial", `"2"`, "want a whole number"),
		good("cheaper-step", `4`, 4, func(c Config) any { return c.CheaperStep }), bad("cheaper-step", `0`, "too few"),
		good("cheaper-algo", `"backlog"`, "backlog", func(c Config) any { return c.CheaperAlgo }), bad("cheaper-algo", `"spare"`, "not one of busyness, backlog"),
		good("cheaper-overload", `1`, 1, func(c Config) any { return c.CheaperOverload }), bad("cheaper-overload", `"3s"`, "want a whole number"),
		good("cheaper-busyness-max", `80`, 80, func(c Config) any { return c.CheaperBusynessMax }), bad("cheaper-busyness-max", `25`, "25 percent is not more than cheaper-busyness-min, 25"),
		bad("cheaper-busyness-max", `101`, "too many"), bad("cheaper-busyness-max", `0.5`, "whole number"),
		good("cheaper-busyness-min", `0`, 0, func(c Config) any { return c.CheaperBusynessMin }), bad("cheaper-busyness-min", `50`, "50 percent is not less than cheaper-busyness-max, 50"),
		good("cheaper-busyness-multiplier", `30`, 30, func(c Config) any { return c.CheaperBusynessMultiplier }), bad("cheaper-busyness-multiplier", `0`, "too few"),
		good("cheaper-busyness-penalty", `0`, 0, func(c Config) any { return c.CheaperBusynessPenalty }), bad("cheaper-busyness-penalty", `-1`, "too few"),
		good("cheaper-busyness-backlog-alert", `1`, 1, func(c Config) any { return c.CheaperBusynessBacklogAlert }), bad("cheaper-busyness-backlog-alert", `true`, "whole number"),
		good("idle", `"10m"`, seconds(600), func(c Config) any { return c.Idle }), good("idle", `0`, Duration(0), func(c Config) any { return c.Idle }), bad("idle", `"never"`, "not a duration"),
		good("reload-probation", `"5s"`, Duration(5*time.Second), func(c Config) any { return c.ReloadProbation }),
		good("reload-probation", `0`, Duration(0), func(c Config) any { return c.ReloadProbation }),
		good("reload-surge", `3`, 3, func(c Config) any { return c.Surge() }),
		bad("reload-probation", `"soon"`, ""), bad("reload-surge", `0`, ""), bad("chain-reload", `1`, ""),
		good("chain-reload", `true`, 1, func(c Config) any { return c.Surge() }),
		good("touch-reload", `"a"`, []string{"/srv/app/a"}, func(c Config) any { return c.TouchReload }),
		good("touch-reload", `["a", "/b"]`, []string{"/srv/app/a", "/b"}, func(c Config) any { return c.TouchReload }),
		bad("touch-reload", `["a", ""]`, "touch-reload[1]: empty"),
	}
}

func staticCases() []keyCase {
	url := func(c Config) any { return c.StaticURL }
	maps := func(c Config) any { return c.StaticMaps }
	return []keyCase{
		good("static-root", `"www/static"`, "/srv/app/www/static", func(c Config) any { return c.StaticRoot }),
		bad("static-root", `true`, "want a string"), bad("static-root", `"$HOME/x"`, "not expanded"),
		good("static-url", `"/s"`, "/s/", url), good("static-url", `"/s/v1/"`, "/s/v1/", url), good("static-url", `"https://cdn.example/a"`, "https://cdn.example/a/", url),
		bad("static-url", `"/"`, "the whole site would be files"), bad("static-url", `"static"`, "does not begin with a slash"), bad("static-url", `"//cdn/x"`, "want https://"),
		bad("static-url", `"ftp://cdn/x"`, "want https://"), bad("static-url", `"/s?v=1"`, "neither a path"), bad("static-url", `"/a/../b"`, "dot segments"),
		good("static-dirs", `["x", "/srv/y"]`, []string{"/srv/app/x", "/srv/y"}, func(c Config) any { return c.StaticDirs }),
		bad("static-dirs", `7`, "want a string"),
		good("static-hashed", `true`, true, func(c Config) any { return c.StaticHashed }), bad("static-hashed", `"yes"`, "true or false"),
		good("static-map", `"/s/=www"`, []Alias{{"/s", "/srv/app/www"}}, maps), good("static-map", `["/=/x", "/f.ico=/y=z"]`, []Alias{{"", "/x"}, {"/f.ico", "/y=z"}}, maps),
		bad("static-map", `"/s"`, `is not "/prefix=folder"`), bad("static-map", `"/s="`, `is not "/prefix=folder"`), bad("static-map", `"s=x"`, "does not begin with a slash"),
		bad("static-map", `["/a=x", "/%61=y"]`, `static-map[1]: "/%61" is compared with the decoded path`), bad("static-map", `"/a=~/x"`, "not expanded"), bad("static-map", `[]`, "empty array"),
		good("check-static", `"www"`, []string{"/srv/app/www"}, func(c Config) any { return c.CheckStatic }), bad("check-static", `["www", 1]`, "check-static[1]: want a string"),
		good("static-index", `["index.html", "i.htm"]`, []string{"index.html", "i.htm"}, func(c Config) any { return c.StaticIndex }),
		bad("static-index", `"a/b"`, "is not the name of a file"), bad("static-index", `".htaccess"`, "is not the name of a file"),
		good("accel-redirect", `"/files=/srv/files"`, []Alias{{"/files", "/srv/files"}}, func(c Config) any { return c.AccelRedirect }),
		bad("accel-redirect", `"/srv/files"`, `is not "/prefix=folder"`),
	}
}

// base is a file that is complete, so that the key under test is the only question.
func base(key string) string {
	switch key {
	case "http-socket":
		return ""
	case "static-dirs", "static-hashed":
		return "http-socket = \"127.0.0.1:1\"\nstatic-root = \"www\"\n"
	}
	const socket = "http-socket = \"127.0.0.1:1\"\n"
	if key == "idle" || strings.HasPrefix(key, "cheaper-") {
		return socket + "processes = 8\ncheaper = 2\n"
	}
	if key == "cheaper" {
		return socket + "processes = 8\n"
	}
	return socket
}

func TestEachKeyTakesWhatIsRightAndRefusesTheRest(t *testing.T) {
	for _, tc := range keyCases() {
		t.Run(tc.key+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(tc.refused, "bytes long") && runtime.GOOS != "linux" {
				t.Skip("another limit")
			}
			c, err := parse(t, base(tc.key)+tc.key+" = "+tc.value+"\n")
			switch {
			case tc.get == nil && err == nil:
				t.Fatal("accepted")
			case tc.get == nil && !strings.Contains(err.Error(), tc.refused):
				t.Fatalf("got %v, want it to say %q", err, tc.refused)
			case tc.get == nil && !strings.Contains(err.Error(), ": "+tc.key):
				t.Fatalf("%v does not name the key", err)
			case tc.get == nil && len(err.(Errors)) != 1:
				t.Fatalf("one mistake, several messages:\n%v", err)
			case tc.get != nil && err != nil:
				t.Fatal(err)
			case tc.get != nil && !reflect.DeepEqual(tc.get(c), tc.want):
				t.Fatalf("got %#v, want %#v", tc.get(c), tc.want)
			}
		})
	}
}

func TestEveryKeyHasGoodAndBadCases(t *testing.T) {
	var c Config
	for _, o := range options(&c) {
		var goods, bads int
		for _, tc := range keyCases() {
			if tc.key == o.key && tc.get != nil {
				goods++
			} else if tc.key == o.key {
				bads++
			}
		}
		if goods == 0 || bads == 0 {
			t.Errorf("%s: %d good and %d bad cases, want some of each", o.key, goods, bads)
		}
	}
}

func TestAbstractSocketsAreTakenWhereTheyExist(t *testing.T) {
	c, err := parse(t, `socket = "@app"`)
	if runtime.GOOS != "linux" {
		if err == nil {
			t.Fatal("accepted")
		}
		return
	}
	if err != nil || !reflect.DeepEqual(c.Sockets, []Socket{unix("uwsgi", "@app")}) {
		t.Fatalf("got %v, %v", c.Sockets, err)
	}
	wantErrors(t, `socket = "@`+strings.Repeat("x", 108)+`"`, "1: socket: the name is 109 bytes long, the kernel takes 108")
	mustParse(t, `socket = "@`+strings.Repeat("x", 107)+`"`)
	mustParse(t, `socket = "/`+strings.Repeat("x", 106)+`"`)
	wantErrors(t, `socket = "/`+strings.Repeat("x", 107)+`"`, "1: socket: the path")
}
