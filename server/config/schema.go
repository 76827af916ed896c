package config

import (
	"runtime"
	"strconv"
)

//go:generate go test -run TestReferenceIsCurrent -update .

// option is one key of the file. The rows below are the only place that knows a key: they
// decode it, give its default, suggest it for a misspelt one and document it.
type option struct {
	key  string
	form string // what the value looks like
	def  string // default, as TOML; "" has none
	note string // shown instead of def
	doc  string // meaning, unit, meaning of zero
	was  string // uWSGI's name for it and how that differs
	put  put
}

// section groups options for the reader of the documentation.
type section struct {
	title   string
	options []option
}

// options is all rows, storing into c.
func options(c *Config) []option {
	var all []option
	for _, s := range schema(c) {
		all = append(all, s.options...)
	}
	return all
}

func isKey(name string) bool {
	var c Config
	for _, o := range options(&c) {
		if o.key == name {
			return true
		}
	}
	return false
}

func schema(c *Config) []section {
	return []section{
		{"What is served", served(c)},
		{"Static files", staticFiles(c)},
		{"Processes", processes(c)},
		{"Number of workers", scaling(c)},
		{"Sockets", listening(c)},
		{"Limits and timeouts", limits(c)},
		{"Overload", overload(c)},
		{"When a worker is replaced", recycling(c)},
		{"Logs", logs(c)},
		{"Environment", surroundings(c)},
		{"Life of the server", life(c)},
	}
}

const (
	formDuration  = `duration: "30s", "2m", "500ms", or whole seconds`
	formPath      = "path"
	formAddress   = `address: "host:port", ":port", "[::1]:port", a path, or "@abstract"`
	formAddresses = `address or array of addresses: "host:port", ":port", "[::1]:port", a path, or "@abstract"`
	formLog       = `path, "stderr" or "stdout"`
)

func served(c *Config) []option {
	return []option{
		{"module", "string", "", "the only registered app",
			"Name of the app that is served at `/`, as the program registered it. Needed if the program registers more than one, unless all that is served stands below `[[mount]]`.",
			"`module`, with the name of a registered app instead of a Python module", text(&c.Module)},
		{"mount", formMount, "", "",
			"An app below a path prefix, as often as there are apps; like every table it stands at the end of the file. The longest prefix wins, in whole segments: `/shop` takes `/shop/cart` and not `/shopping`. The app sees the path without the prefix and can ask for the prefix (`server.ScriptName`, `server.Link`). `/shop` itself is redirected to `/shop/`. What no mount takes is for `module`; without `module` it is answered 404. An app that is mounted twice is still made once.",
			"`mount = /shop=shop` with `manage-script-name`", mounts(&c.Mounts)},
		{"binary", formPath, "", "",
			"The app's program, for `ostler run`. An app that is started directly (`hello --config hello.toml`) does not need it.",
			"`binary-path`, roughly", ownFile(&c.Binary)},
	}
}

func processes(c *Config) []option {
	return []option{
		{"processes", "whole number, 1 to 1024", strconv.Itoa(min(runtime.GOMAXPROCS(0), 1024)), "the CPUs this process may use",
			"Worker processes. A crash, a leak or a stuck request costs one of them. CPUs and memory are shared out: GOMAXPROCS of a worker is CPUs / processes, rounded up, and GOMEMLIMIT nine tenths of the cgroup's limit / processes, unless the environment has them. See operations.md.",
			"`processes` or `workers`, default 1", whole(&c.Processes, 1, 1024)},
		{"threads", "whole number, 1 to 16384", "64", "",
			"Request slots of each worker: no more than this many handlers run at once in it. Connections beyond that wait in the kernel's queue, where an idle worker can take them.",
			"`threads`, default 1", whole(&c.Threads, 1, 16384)},
		{"cpu-affinity", "whole number, 1 to 1024", "", "any CPU that the server may use",
			"CPUs of each worker. They are handed out in turn: with 2 on a machine with 4, the first worker has CPUs 0 and 1, the second 2 and 3, the third 0 and 1 again. Only CPUs that the server itself may use count. Linux only.",
			"`cpu-affinity`", whole(&c.Affinity, 1, 1024)},
		{"master", "true or false", "true", "",
			"Whether a master process supervises the workers. `false` runs the handler in the one process that was started, for debuggers and tests: no respawn, no reload, and no `processes`, `daemonize`, `touch-reload`, `uid` or `gid`.",
			"`master`, default false", yesNo(&c.Master)},
		{"uid", "name or number", "", "the user that started the server",
			"User that the workers run as. Only root can change it. The master keeps its own, so that it can bind low ports and write the pidfile.",
			"`uid`, which also changes the master", account(&c.UID)},
		{"gid", "name or number", "", "the main group of `uid`",
			"Group that the workers run as.",
			"`gid`, which also changes the master", account(&c.GID)},
	}
}

func listening(c *Config) []option {
	return []option{
		{"socket", formAddresses, "", "",
			"Where requests arrive in the uwsgi protocol: `uwsgi_pass` of nginx, `mod_proxy_uwsgi` of Apache, lighttpd, or uWSGI's http router. At least one `socket`, `http-socket` or `https-socket` is needed. Port 0 takes a free port, for tests. A TCP address that other machines can reach needs `allow-from`.",
			"`socket` or `uwsgi-socket`; several sockets are an array", sockets("uwsgi")},
		{"http-socket", formAddresses, "", "",
			"Where requests arrive as HTTP/1.1, from browsers or from a proxy, or as HTTP/2 from a client that knows that it is spoken here (h2c with prior knowledge).",
			"`http-socket`; also takes the place of `http` and its router process", sockets("http")},
		{"https-socket", formHTTPS, "", "",
			"Where requests arrive as HTTP/2 or HTTP/1.1 over TLS. `cert` is a PEM file with the certificate and the chain behind it, `key` one with its key; they may be the same file. Every new worker reads them, so a reload brings a renewed certificate into use without closing a connection; one that cannot be used fails the start, or the reload, with the reason. A worker that runs as `uid` must be able to read them.",
			"`https-socket`, written `address,cert,key`, and `https2`", httpsSockets},
		{"listen", "whole number, 1 to 65535", "1024", "",
			"Connections that wait in the kernel until a worker accepts them, for each socket. A system limit (somaxconn) below it is used instead, with a warning.",
			"`listen`, default 100, refused above somaxconn", whole(&c.Listen, 1, 65535)},
		{"chmod-socket", "octal mode in quotes", `"0660"`, "",
			"Permissions of the unix sockets of `socket`, `http-socket` and `https-socket`. Who may write may connect.",
			"`chmod-socket`, which is 0666 when written without a value", mode(&c.ChmodSocket, socketMode)},
		{"chown-socket", `"user", "user:group" or ":group"`, "", "the user that started the server",
			"Owner of the unix sockets, for a proxy that runs as another user.",
			"`chown-socket`", owner(&c.ChownSocket)},
		{"allow-from", "IP address or network, or array of them", `["127.0.0.0/8", "::1/128"]`, "",
			"Who may speak uwsgi over TCP. The protocol has no password and its peer decides what the handler sees as the client's address, so a TCP `socket` that other machines can reach is refused without this key. The list replaces the default: add the loopback networks if a proxy on this machine connects as well.",
			"none", prefixes(&c.AllowFrom)},
		{"trusted-proxies", `IP address or network, or "unix" for whoever connects to a unix socket, or array of them`, "", "nobody",
			"Proxies that are believed, on `http-socket` and `https-socket`, when they tell who their client is: by a PROXY header, version 1 or 2, in front of a connection, and by X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. The handler then finds the client in `RemoteAddr`, the host it asked for in `Host`, and its scheme by `server.Scheme`. From anybody else the X-Forwarded fields mean nothing and a PROXY header ends the connection. List only proxies that set or remove all of these for every request: what a client sends and a listed proxy passes on is believed as well.",
			"none: it believes everybody", peers(&c.Trusted)},
		{"stats", formAddress, "", "off",
			"Where the statistics are served: uWSGI's JSON at `/`, Prometheus text at `/metrics`. It has no password; keep it on a loopback address or a unix socket.",
			"`stats` with `stats-http`", statsAddress(&c.Stats)},
		{"control", "path of a unix socket", "", "the pidfile's path with `.ctl` appended; without a pidfile, a name made from this file's path in the user's runtime directory",
			"Where `reload`, `stop` and `status` reach the server. Mode 0600, and only the same user or root is listened to.",
			"`master-fifo`, roughly", controlAddress(&c.Control)},
	}
}

func limits(c *Config) []option {
	return []option{
		{"worker-reload-mercy", formDuration, `"30s"`, "",
			"How long the running requests of a worker may take when it is stopped or replaced; what is left is logged and cut. Shortly before, the contexts of requests end (`server.ErrDraining`), so that an event stream can say a last word. Zero is refused.",
			"`worker-reload-mercy`, default 60 s, and `reload-mercy`", duration(&c.WorkerReloadMercy, 1)},
		{"upgrade-mercy", formDuration, `"10s"`, "",
			"How long an upgraded connection, a websocket for example, may stay open when its worker is stopped or replaced. Handlers hear of it at once (`server.Draining`) and can say goodbye; what is open after this time is closed. It ends within `worker-reload-mercy` in any case. Zero is refused.",
			"none", duration(&c.UpgradeMercy, 1)},
		{"start-timeout", formDuration, `"60s"`, "",
			"How long a worker may take until it is ready to serve. Zero is refused.",
			"none", duration(&c.StartTimeout, 1)},
		{"limit-post", "size", "0", "0: no limit",
			"Largest request body; a larger one is answered 413. 0 is no limit.",
			"`limit-post`, in bytes without a unit", size(&c.LimitPost)},
		{"header-timeout", formDuration, `"10s"`, "",
			"How long a client may take to send the whole head of a request, or a front end its uwsgi block. Zero is refused.",
			"none", duration(&c.HeaderTimeout, 1)},
		{"socket-timeout", formDuration, `"60s"`, "",
			"How long a single read of a request body or write of a response may stall. A transfer that moves may take any time. Zero is refused.",
			"`socket-timeout`, default 4 s, and `http-timeout`", duration(&c.SocketTimeout, 1)},
		{"http-keepalive", formDuration, `"75s"`, "",
			"How long an idle HTTP connection is kept for the next request. It holds no slot meanwhile. 0 closes each connection after its response.",
			"`http-keepalive`, default off", duration(&c.HTTPKeepalive, 0)},
		{"harakiri", formDuration, `"0s"`, "0: no limit",
			"How long a request may run, from the moment it has a slot; a `[[mount]]` can have its own. At half, at three quarters and at the end of that time the log and the stats get the stacks of its goroutines. At the end its context is cancelled (`server.ErrHarakiri`), and the client is answered 504 if nothing was written. A handler asks for more time with `server.ExtendDeadline`. 0 is no limit.",
			"`harakiri`, which kills the whole worker, and `http-harakiri`", duration(&c.Harakiri, 0)},
		{"harakiri-graceful-timeout", formDuration, `"1s"`, "",
			"How long a handler may take to return when its time (`harakiri`) is over. One that does not is stuck: its worker gets a successor, finishes all other requests, and ends with it. 0 waits for nobody.",
			"`harakiri-graceful-timeout`", duration(&c.HarakiriGracefulTimeout, 0)},
	}
}

func overload(c *Config) []option {
	return []option{
		{"queue-timeout", formDuration, `"5s"`, "",
			"How long a request may wait for a free slot in a worker before it is answered 503 with Retry-After. The kernel's queue has no clock: with `max-queue` nobody waits there for long. Zero is refused.",
			"none", duration(&c.QueueTimeout, 1)},
		{"max-queue", "whole number, 0 to 1000000", "0", "0: any number, and connections wait in the kernel",
			"How many requests of a worker may wait for a slot. With this key a worker without a free slot takes in connections that no other worker has taken for 10 ms, answers 503 with Retry-After at once to whoever finds the queue full, and `queue-timeout` holds on every socket. Without it (0) connections wait in the kernel, as many as `listen` allows and for as long as it takes.",
			"`listen`, roughly: its backlog is the only queue", whole(&c.MaxQueue, 0, 1_000_000)},
		{"queue-order", `"fifo" or "adaptive-lifo"`, `"fifo"`, "",
			"Who of those that wait has the next slot. `adaptive-lifo`: in order of arrival until one has waited for a tenth of `queue-timeout`, then the newest first, because the oldest have most likely given up; and a full queue turns away its oldest instead of who comes. It needs `max-queue`.",
			"none", word(&c.QueueOrder, "fifo", "adaptive-lifo")},
		{"health-path", "path or array of paths of requests", "", "",
			"Requests that are health checks: those with exactly this path, as a client asks for it. They may use the slots of `reserve-slots`.",
			"none", requestPaths(&c.HealthPaths)},
		{"reserve-slots", "whole number, 0 to 1024", "0", "",
			"Slots of each worker, besides `threads`, for requests to a `health-path` that find no other free. Whatever else is busy, so many health checks of a worker are answered at a time. It needs `health-path` and `max-queue`: who is not taken in cannot be told from the others.",
			"none", whole(&c.ReserveSlots, 0, 1024)},
	}
}

func recycling(c *Config) []option {
	return []option{
		{"max-requests", "whole number, 1 to 1000000000", "", "any number",
			"Requests after which a worker is replaced, less up to a tenth, by which workers differ. The successor is ready before the worker stops, and one worker is replaced at a time.",
			"`max-requests` with `max-requests-delta`", whole(&c.MaxRequests, 1, 1_000_000_000)},
		{"max-worker-lifetime", formDuration, `"0s"`, "0: no limit",
			"How long a worker serves until it is replaced, less up to a tenth. 0 is no limit.",
			"`max-worker-lifetime` with its delta", duration(&c.MaxWorkerLifetime, 0)},
		{"min-worker-lifetime", formDuration, `"10s"`, "",
			"A worker that reaches one of these limits sooner serves on until this time: it would be replaced without end. `evil-reload-on-rss` does not wait. 0 lets it go at once.",
			"`min-worker-lifetime`, default 60 s", duration(&c.MinWorkerLifetime, 0)},
		{"reload-on-rss", "size", "0", "0: no limit",
			"Memory (RSS) at which a worker is replaced. It has to be seen three times, a second apart; the running requests finish. With `crash-dir` the worker writes a heap profile first. 0 is no limit.",
			"`reload-on-rss`, in MiB without a unit", size(&c.ReloadOnRSS)},
		{"evil-reload-on-rss", "size", "0", "0: no limit",
			"Memory (RSS) at which a worker is killed at once, with the requests that run in it: before the kernel kills something else. 0 is no limit.",
			"`evil-reload-on-rss`, in MiB without a unit", size(&c.EvilReloadOnRSS)},
		{"reload-on-exception", "true or false", "false", "",
			"Whether a worker is replaced after a handler panicked in it. The request is answered 500 in any case, and the others go on.",
			"`reload-on-exception`", yesNo(&c.ReloadOnException)},
		{"crash-dir", formPath, "", "",
			"Folder for a report of each worker that dies without being asked to: what the Go runtime printed, and which requests died with it. Heap profiles of `reload-on-rss` go there too, if the workers may write to it. It has to exist.",
			"none", folder(&c.CrashDir)},
	}
}

func logs(c *Config) []option {
	return []option{
		{"logto", formLog, `"stderr"`, "",
			"Where master and workers log. A file is reopened on USR1, for logrotate.",
			"`logto`, `logger`", logTarget(&c.LogTo)},
		{"log-format", `"text" or "json"`, `"text"`, "",
			"Form of that log.",
			"none; uWSGI's `log-format` is `req-format` here", word(&c.LogFormat, "text", "json")},
		{"log-level", `"trace", "debug", "info", "warn", "error" or "off"`, `"info"`, "",
			"The least important lines that are logged.",
			"none", word(&c.LogLevel, "trace", "debug", "info", "warn", "error", "off")},
		{"req-logger", formLog, `"stderr"`, "",
			"Where the access log goes: one line per request.",
			"`req-logger`, without the plugin names", logTarget(&c.ReqLogger)},
		{"req-format", `"combined" or "json"`, `"combined"`, "",
			"Form of the access log: combined as Apache and nginx write it, or one JSON object per line. What comes from the client is always escaped.",
			"`log-format`, without its variables", word(&c.ReqFormat, "combined", "json")},
		{"disable-logging", "true or false", "false", "",
			"Leaves out the access log.",
			"`disable-logging`", yesNo(&c.DisableLogging)},
	}
}

func surroundings(c *Config) []option {
	return []option{
		{"chdir", formPath, "", "the working directory stays",
			"Working directory of master and workers, relative to this file. All other relative paths of the file are relative to it.",
			"`chdir`", folder(&c.Chdir)},
		{"umask", "octal mode in quotes", `"0022"`, "",
			"Permissions that files of the server and of the handlers are created without. Never 0.",
			"`umask`, 0 when daemonized", mode(&c.Umask, umask)},
		{"env", "table of strings", "", "",
			"Environment variables for the workers: `[env]`, then lines `NAME = \"value\"`. It is a table, so it stands at the end of the file. Stronger than `env-file`, which is stronger than what the server inherited. Names that the server itself uses (`OSTLER_*`, `NOTIFY_SOCKET`, `WATCHDOG_*`, `LISTEN_*`) are refused.",
			"`env`, once for each variable", environment(&c.Env)},
		{"env-file", formPath, "", "",
			"File of more environment variables, for secrets that should not stand here. Lines `NAME=value`, see below.",
			"`envdir`, `for-readline`", ownFile(&c.EnvFile)},
	}
}

func life(c *Config) []option {
	return []option{
		{"pidfile", formPath, "", "",
			"File with the master's process id. It is locked: a second start is refused and names the first.",
			"`pidfile`, `safe-pidfile`", ownFile(&c.Pidfile)},
		{"daemonize", formPath, "", "",
			"Runs in the background; the path takes what the server prints, and its logs unless they have files of their own. The command returns when the server is ready, or with the reason why it is not.",
			"`daemonize` and `daemonize2`", logFile(&c.Daemonize)},
		{"vacuum", "true or false", "true", "",
			"Removes unix sockets, control socket and pidfile at the end, if they are still this server's own.",
			"`vacuum`, default false", yesNo(&c.Vacuum)},
		{"lame-duck", formDuration, `"0s"`, "0: a stop begins at once",
			"How long the server goes on serving when it is stopped, while `/readyz` at the stats address says 503: a load balancer in front of several machines notices, and sends new clients elsewhere. A second stop does not wait. Give it as long as the balancer needs to look twice. 0 is no wait.",
			"none", duration(&c.LameDuck, 0)},
		{"touch-reload", "path or array of paths", "", "",
			"Files whose change (a newer time, a new file, a removal and return) reloads the server.",
			"`touch-reload`", paths(&c.TouchReload)},
		{"reload-probation", formDuration, `"2s"`, "",
			"How long all new workers of a reload serve beside the old ones before it counts: if one crashes or overruns meanwhile, or if they answer more requests with a 5xx than the old ones' share explains, the reload is taken back. 0 is no probation.",
			"none", duration(&c.ReloadProbation, 0)},
		{"reload-surge", "whole number, 1 to 1024", "", "all new workers beside all old ones",
			"How many workers more than `processes` a reload may have at once, for machines that have no memory for twice as many: the old worker of a slot then stops when the new one is ready, before the next one starts. Taking back such a reload starts the old program again where it had stopped.",
			"none", whole(&c.ReloadSurge, 1, 1024)},
		{"chain-reload", "true or false", "false", "",
			"Replaces one worker after the other: the same as `reload-surge = 1`.",
			"`touch-chain-reload`, chain reloading by the master FIFO", yesNo(&c.ChainReload)},
	}
}
