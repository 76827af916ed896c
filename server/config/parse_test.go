package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestFiveMistakesPrintFiveLines(t *testing.T) {
	const text = `# a shop
proceses = 4
threads = 0

socket = "0.0.0.0:8000"
start-timeout = "soon"
enable-threads = true
`
	_, err := Parse("shop.toml", []byte(text))
	const want = `shop.toml:2: proceses: unknown key (did you mean "processes"?)
shop.toml:3: threads: 0 is too few, want 1 to 16384
shop.toml:5: socket: 0.0.0.0:8000 can be reached from other machines: set allow-from to the proxies that may speak uwsgi, or listen on 127.0.0.1
shop.toml:6: start-timeout: "soon" is not a duration such as "30s", "2m" or "500ms"
shop.toml:7: enable-threads: unknown key: uWSGI's option is not needed: it is about Python, Go handlers always run in parallel`
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v\nwant\n%s", err, want)
	}
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 || one.Key != "proceses" || one.File != "shop.toml" {
		t.Fatalf("got %+v", one)
	}
}

func TestSyntaxErrorsDoNotHideTheRest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"string not closed": {"stats = \":80\nthreads = 0\n", []string{"1: stats: strings cannot contain newlines", "2: threads: 0 is too few"}},
		"array not closed": {"socket = [\"a\"\nthreads = 0\n",
			[]string{"2: socket: expected a comma", "2: threads: 0 is"}},
		"array not closed at the end":      {"threads = 0\nsocket = [\"a\",\n\n", []string{"1: threads: 0 is", "2: socket: unexpected EOF"}},
		"long string not closed":           {"threads = 0\nmodule = \"\"\"a\nlisten = 0\n", []string{"1: threads: 0 is", "3: listen: 0 is", "3: module: unexpected EOF"}},
		"no value":                         {"threads =\nlisten = 0\n", []string{"1: threads: expected value", "2: listen: 0 is"}},
		"no quotes":                        {"module = shop\nlisten = 0\n", []string{"1: module: expected value", "2: listen: 0 is"}},
		"ini section with a colon":         {"module: shop\nlisten = 0\n", []string{"1: module: expected", "2: listen: 0 is"}},
		"given twice":                      {"threads = 1\nlisten = 0\nthreads = 2\n", []string{"2: listen: 0 is", "3: threads: given twice, first on line 1"}},
		"two errors":                       {"a = \nb = 5x\nlisten = 0\n", []string{"1: a: expected value", "2: b: ", "3: listen: 0 is"}},
		"table twice":                      {"listen = 0\n[env]\nA = \"\"\n[env]\nB = \"\"\n", []string{"1: listen: 0 is", "4: env: given twice, first on line 2"}},
		"control character":                {"listen = 0\nmodule = \"\x01\"\n", []string{"1: listen: 0 is", "2: module: TOML files cannot contain control characters"}},
		"nothing readable":                 {"\x00\x00\x00\n", []string{"1: files cannot contain NULL bytes"}},
		"not UTF-8":                        {"module = \"\xff\"\nlisten = 0\n", []string{"1: module: invalid UTF-8", "2: listen: 0 is"}},
		"deep":                             {"a = " + strings.Repeat("[", 200) + "\nlisten = 0", []string{"1: a: nested more than 16 levels deep", "2: listen: 0 is"}},
		"deep, as a key of too many parts": {strings.Repeat("a.", 100_000) + "a = 1\nlisten = 0", []string{"1: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: nested more than 16", "2: listen: 0 is"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantErrors(t, tc.text, tc.want...)
		})
	}
}

func TestTheSearchForSyntaxErrorsEnds(t *testing.T) {
	_, err := parse(t, strings.Repeat("a b\n", 50))
	if err == nil || len(err.(Errors)) != maxFaults {
		t.Fatalf("got %v", err)
	}
}

func TestProblemsCarryTheLineTheyAreOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"element of an array over several lines": {"socket = [ # two\n  'a.sock', # one ]\n\n  \"b:x\",\n]\n", []string{`4: socket[1]: "b:x": port "x"`}},
		"after a long string":                    {"socket = 'a'\nmodule = '''\n[x]\nthreads = 1\n'''\nlisten = 0\n", []string{"6: listen: 0 is"}},
		"quoted key":                             {"socket = 'a'\n\"lis\\u0074en\" = 0\n", []string{"2: listen: 0 is"}},
		"quoted key with a dot":                  {"socket = 'a'\n'a.b' = 0\n", []string{`2: "a.b": unknown key`}},
		"dotted key":                             {"socket = 'a'\nenv.PORT = 80\n", []string{"2: env.PORT: want a string"}},
		"key in a table":                         {"socket = 'a'\n[env]\nA = ''\n\nB = 1\n", []string{"5: env.B: want a string"}},
		"key in an inline table":                 {"socket = 'a'\nenv = { A = '', B = 1 }\n", []string{"2: env.B: want a string"}},
		"array of tables":                        {"socket = 'a'\n[[mount]]\npath = '/'\nmodule = 'a'\n[[mount]]\npath = '/b'\n", []string{"3: mount[0].path: the app at", "5: mount[1]: has no module"}},
		"option caught below a table":            {"socket = 'a'\n[env]\nA = ''\nlogto = '/x'\n", []string{"4: env.logto: stands below [env] but is an option"}},
		"a table of uWSGI's ini":                 {"[uwsgi]\nsocket = 'a'\n", []string{"1: socket: nothing to serve on", "1: uwsgi: unknown table; all options but env, mount and https-socket"}},
		"CRLF and BOM":                           {"\ufeffsocket = 'a'\r\nlisten = 0\r\n", []string{"2: listen: 0 is"}},
		"empty":                                  {"", []string{"1: socket: nothing to serve on"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantErrors(t, tc.text, tc.want...)
		})
	}
}

func TestRulesBetweenKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string // none: accepted
	}{
		"same address twice":           {"socket = '127.0.0.1:80'\nhttp-socket = '127.0.0.1:80'", []string{"2: http-socket: 127.0.0.1:80 is already taken by socket on line 1"}},
		"evil below good":              {"socket = 'a'\nreload-on-rss = '2GiB'\nevil-reload-on-rss = '1GiB'", []string{"3: evil-reload-on-rss: 1GiB kills before reload-on-rss (2GiB) replaces"}},
		"limit of a mount alone":       {"socket = 'a'\nmaster = false\n[[mount]]\npath = '/a'\nmodule = 'a'\nharakiri = 2", []string{"6: mount[0].harakiri: needs a master"}},
		"reserved slots alone":         {"socket = 'a'\nreserve-slots = 1", []string{"2: reserve-slots: needs max-queue", "2: reserve-slots: needs health-path"}},
		"reserved slots and the rest":  {"socket = 'a'\nreserve-slots = 1\nmax-queue = 9\nhealth-path = '/h'\nqueue-order = 'adaptive-lifo'", nil},
		"chain and surge":              {"socket = 'a'\nchain-reload = true\nreload-surge = 2", []string{"3: reload-surge: chain-reload replaces one worker after the other"}},
		"chain is a surge of one":      {"socket = 'a'\nchain-reload = true\nreload-surge = 1", nil},
		"blame falls on the later":     {"http-socket = '127.0.0.1:80'\nsocket = '127.0.0.1:80'", []string{"2: socket: 127.0.0.1:80 is already taken by http-socket on line 1"}},
		"twice in one array":           {"socket = ['a', './a']", []string{"1: socket[1]: /srv/app/a is already taken by socket[0]"}},
		"wildcard and interface":       {"http-socket = [':80', '127.0.0.1:80']", []string{"1: http-socket[1]: 127.0.0.1:80 is already taken"}},
		"both wildcards":               {"http-socket = ['0.0.0.0:80', '[::]:80']", []string{"1: http-socket[1]: [::]:80 is already"}},
		"two names of one":             {"http-socket = ['localhost:80', '127.0.0.1:80']", []string{"1: http-socket[1]: 127.0.0.1:80"}},
		"two spellings of one":         {"http-socket = ['[::1]:80', '[0::1]:80']", []string{"1: http-socket[1]: [0::1]:80"}},
		"two interfaces":               {"http-socket = ['127.0.0.1:80', '127.0.0.2:80', '[::1]:80']", nil},
		"free ports":                   {"http-socket = ['127.0.0.1:0', '127.0.0.1:0']", nil},
		"stats on a socket":            {"socket = 'a'\nstats = 'a'", []string{"2: stats: /srv/app/a is already taken by socket"}},
		"control on a socket":          {"socket = 'a'\ncontrol = 'a'", []string{"2: control: /srv/app/a is already taken by socket"}},
		"derived control on a socket":  {"socket = 'a.ctl'\npidfile = 'a'", []string{"1: socket: /srv/app/a.ctl is the control socket that belongs to the pidfile"}},
		"pidfile is the log":           {"socket = 'a'\nlogto = 'b'\npidfile = 'b'", []string{"3: pidfile: /srv/app/b is already the file of logto on line 2"}},
		"pidfile is the socket":        {"socket = 'a'\npidfile = 'a'", []string{"2: pidfile: /srv/app/a is already the file of socket on line 1"}},
		"log is the app's own program": {"socket = 'a'\nbinary = 'b'\nreq-logger = 'b'", []string{"3: req-logger: /srv/app/b is already the file of binary"}},
		"logs share a file":            {"socket = 'a'\nlogto = 'b'\nreq-logger = 'b'\ndaemonize = 'b'", nil},
		"the program is watched":       {"socket = 'a'\nbinary = 'b'\ntouch-reload = 'b'", nil},
		"hashed names of nothing":      {"socket = 'a'\nstatic-hashed = true\nstatic-dirs = 'x'", []string{"2: static-hashed: needs static-root", "3: static-dirs: needs static-root"}},
		"collected into itself":        {"socket = 'a'\nstatic-root = 'x/y'\nstatic-dirs = 'x'", []string{"3: static-dirs: /srv/app/x and static-root (/srv/app/x/y) are in each other"}},
		"the configuration served":     {"socket = 'a'\ncheck-static = '.'", []string{"2: check-static: /srv/app has this configuration file in it"}},
		"secrets served":               {"socket = 'a'\nenv-file = '/etc/x/env'\nstatic-map = ['/a=/etc/y', '/b=/etc/x']", []string{"3: static-map[1]: /etc/x has the file of env-file on line 2 in it"}},
		"a log served":                 {"socket = 'a'\nlogto = 'www/log'\nstatic-root = 'www'", []string{"3: static-root: /srv/app/www has the file of logto on line 2"}},
		"a neighbour of a secret":      {"socket = 'a'\nenv-file = '/etc/xy'\nstatic-map = '/b=/etc/x'", nil},
		"uwsgi for everyone":           {"socket = ['127.1.2.3:80', '[::1]:80', '[::]:81']", []string{"1: socket[2]: [::]:81 can be reached from other machines"}},
		"uwsgi for some":               {"socket = ':80'\nallow-from = '10.0.0.0/8'", nil},
		"no master":                    {"socket = 'a'\nmaster = false\npidfile = 'p'\nprocesses = 1\nstats = 's'", nil},
		"no master for these": {"socket = 'a'\nmaster = false\nprocesses = 2\ndaemonize = 'd'\ntouch-reload = 't'\nuid = 1\ngid = 1",
			[]string{"3: processes: needs a master", "4: daemonize: needs", "5: touch-reload: needs", "6: uid: needs", "7: gid: needs"}},
		"a refused value breaks no rule": {"socket = 5\nmaster = 'false'\ndaemonize = 'd'", []string{"1: socket: want a string", "2: master: want true or false"}},
		"a lost socket is not missing":   {"socket = \"a\nlisten = 5", []string{"1: socket: strings"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.want == nil {
				mustParse(t, tc.text)
				return
			}
			wantErrors(t, tc.text, tc.want...)
		})
	}
}

func TestUnknownKeysGetAnAnswer(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"workers": `unknown key (did you mean "processes"?)`, "wrokers": `did you mean "processes"?`,
		"http_socket": `did you mean "http-socket"?`, "Threads": `did you mean "threads"?`, "chmod": `did you mean "chmod-socket"?`,
		"harakri": `did you mean "harakiri"?`, "pid-file": `did you mean "pidfile"?`, "sokcet": `did you mean "socket"?`,
		"xyzzy": "unknown key", "q": "unknown key", strings.Repeat("z", 5000): "unknown key",
		"lazy-apps": "every worker always starts the app itself", "buffer-size": "64 KiB", "thunder-lock": "without a lock",
		"enable-threads": "about Python", "emperor": "one server per file", "die-on-term": "TERM always stops gracefully",
		"need-app": "never starts", "strict": "always refused", "wsgi-file": "use module", "plugins": "no plugins",
		"http": "use http-socket", "pythonpath": "another language", "static-expires": "static-hashed",
		"cheaper-idle": "with cheaper and idle", "die-on-idle": "one always stays", "cheaper-rss-limit-soft": "reload-on-rss bounds",
	} {
		_, err := parse(t, "socket = 'a'\n"+key+" = 1\n")
		if err == nil || !strings.HasPrefix(err.Error(), "/srv/app/app.toml:2: "+key+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: got %v, want %q", key, err, want)
		}
	}
}

func TestForeignKeysAreNotOurs(t *testing.T) {
	for _, f := range foreignKeys() {
		for k := range strings.FieldsSeq(f.keys) {
			if isKey(k) {
				t.Errorf("%s is an option", k)
			}
		}
	}
}

func TestSocketsKeepTheOrderOfTheFile(t *testing.T) {
	c := mustParse(t, "http-socket = ['h1',\n'h2']\nlisten = 5\nsocket = ['s1', 's2']\nstats = 'x'\n")
	want := []Socket{unix("http", "/srv/app/h1"), unix("http", "/srv/app/h2"), unix("uwsgi", "/srv/app/s1"), unix("uwsgi", "/srv/app/s2")}
	if !reflect.DeepEqual(c.Sockets, want) {
		t.Fatalf("got %v", c.Sockets)
	}
}

func TestRelativePathsStartAtChdirOrAtTheFile(t *testing.T) {
	c := mustParse(t, "socket = 'a'\npidfile = '../p'\nbinary = '/bin/x/../y'")
	if c.Pidfile != "/srv/p" || c.Binary != "/bin/y" || c.Control.Addr != "/srv/p.ctl" || c.Chdir != "" || c.File != "/srv/app/app.toml" {
		t.Errorf("without chdir: %+v", c)
	}
	c = mustParse(t, "pidfile = 'p'\nsocket = 'a'\nlogto = 'stderr'\nchdir = 'run'")
	if c.Pidfile != "/srv/app/run/p" || c.Sockets[0].Address.Addr != "/srv/app/run/a" || c.LogTo != "stderr" {
		t.Errorf("with chdir: %+v", c)
	}
}

func TestControlIsLeftToTheServerWithoutAPidfile(t *testing.T) {
	if c := mustParse(t, "socket = 'a'"); !c.Control.IsZero() {
		t.Fatalf("got %v", c.Control)
	}
}

func TestDefaultsAreThoseOfTheDesign(t *testing.T) {
	c := mustParse(t, "socket = 'a'")
	want := Config{
		File: "/srv/app/app.toml", Processes: min(runtime.GOMAXPROCS(0), 1024), Threads: 64, Master: true, Umask: 0o022, Vacuum: true,
		Sockets: []Socket{unix("uwsgi", "/srv/app/a")}, Listen: 1024, ChmodSocket: 0o660, AllowFrom: networks("127.0.0.0/8", "::1/128"),
		LogTo: "stderr", LogFormat: "text", LogLevel: "info", ReqLogger: "stderr", ReqFormat: "combined", StaticURL: "/static/",
		WorkerReloadMercy: seconds(30), UpgradeMercy: seconds(10), StartTimeout: seconds(60), HeaderTimeout: seconds(10), SocketTimeout: seconds(60),
		HTTPKeepalive: seconds(75), QueueTimeout: seconds(5), QueueOrder: "fifo", HarakiriGracefulTimeout: seconds(1), ReloadProbation: seconds(2), MinWorkerLifetime: seconds(10),
		CheaperStep: 1, CheaperAlgo: "busyness", CheaperOverload: 3, CheaperBusynessMax: 50, CheaperBusynessMin: 25,
		CheaperBusynessMultiplier: 10, CheaperBusynessPenalty: 2, CheaperBusynessBacklogAlert: 33,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	d := Default()
	if d.Sockets[0] != tcp("http", "127.0.0.1:8000") || d.Stats.Addr != "127.0.0.1:9191" || d.Threads != 64 || d.File != "" {
		t.Errorf("embedded default: %+v", d)
	}
	roundTrip(t, d)
}

func roundTrip(t *testing.T, c Config) {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if !reflect.DeepEqual(c, back) {
		t.Fatalf("JSON changed it:\n%#v\n%#v", c, back)
	}
}

func TestTheCompleteExampleSetsEveryKeyAndParses(t *testing.T) {
	src, err := os.ReadFile("testdata/complete.toml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, string(src))
	roundTrip(t, c)
	at := scan(string(src))
	for _, o := range options(&c) {
		if at.line[o.key] == 0 {
			t.Errorf("%s is not in testdata/complete.toml", o.key)
		}
	}
	// A key whose row stores into the wrong field leaves another field empty.
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "DisableLogging" {
			t.Errorf("Config.%s is not set by any key", name)
		}
	}
}

func TestPeekFindsTheServerOfABrokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.toml")
	text := "module = \"x\nthreads = 0\numask = '0'\nstart-timeout = 0\nfoo = 1\npidfile = 'p'\nbinary = '/b'\nmaster = 5\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Peek(file)
	want := defaults()
	want.File, want.Pidfile, want.Binary = file, filepath.Join(filepath.Dir(file), "p"), "/b"
	want.Control = Address{"unix", want.Pidfile + ".ctl"}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, %v\nwant %+v", c, err, want)
	}
	if _, err := Peek(file + ".none"); err == nil {
		t.Error("a missing file was read")
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.toml")
	if _, err := Load(missing); err == nil || err.Error() != missing+": no such file or directory" {
		t.Errorf("missing: %v", err)
	}
	if _, err := Load(dir); err == nil || err.Error() != dir+": is a directory" {
		t.Errorf("directory: %v", err)
	}
	big := filepath.Join(dir, "big.toml")
	head := "http-socket = ':80'\n"
	for size, fits := range map[int]bool{maxFile: true, maxFile + 1: false} {
		text := head + strings.Repeat("#", size-len(head))
		if err := os.WriteFile(big, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(big)
		if fits && (err != nil || c.File != big) || !fits && (err == nil || !strings.Contains(err.Error(), "larger than 256KiB")) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := Parse("\xff.toml", []byte(head)); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("file name: %v", err)
	}
}
