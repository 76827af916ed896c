package uwsgiconf

import (
	"slices"
	"strings"
)

// rule is how one option of uWSGI, or several of one meaning, becomes a key.
type rule struct {
	options string // separated by spaces; the first that is also the key is the stronger
	key     string // "" has none
	doc     string
	apply   func(t *translator, it *item)
}

// rules has a row for each option that becomes something. All others have the answers of
// config.Foreign.
func rules() []rule {
	return slices.Concat(appRules(), processRules(), socketRules(), limitRules(), staticRules(), logRules(), lifeRules())
}

func findRule(name string) (rule, bool) {
	for _, r := range rules() {
		for o := range strings.FieldsSeq(r.options) {
			if o == name {
				return r, true
			}
		}
	}
	return rule{}, false
}

// one is an option of which the last one counts.
func one(key string, f func(string) value) func(*translator, *item) {
	return func(t *translator, it *item) { t.put(it, key, f(it.value)) }
}

// many is an option that all count.
func many(key string, f func(string) value) func(*translator, *item) {
	return func(t *translator, it *item) {
		t.put(it, key, f(it.value))
		it.list = true
	}
}

func appRules() []rule {
	return []rule{
		{"module wsgi wsgi-file file callable", "module", "replaced: a Go program has its apps compiled in. Its only app needs no key; with `[[mount]]` a name is guessed", (*translator).module},
		{"mount", "mount", "carried: `[[mount]]` with a guessed name of the app", (*translator).mount},
		{"binary-path", "", "left out: `binary` names the app's program here", func(_ *translator, it *item) {
			it.leaveOut("it is uWSGI's own program; binary = \"PATH\" names the app's program, for ostler run")
		}},
	}
}

func processRules() []rule {
	return []rule{
		{"processes workers", "processes", "carried", one("processes", number)},
		{"threads", "threads", "carried", one("threads", number)},
		{"master", "master", "carried if it is on; off is left out, because it would be one process for debuggers", (*translator).master},
		{"cheaper", "cheaper", "carried unless 0", one("cheaper", unlessZero(number))},
		{"cheaper-initial", "cheaper-initial", "carried", one("cheaper-initial", number)},
		{"cheaper-step", "cheaper-step", "carried", one("cheaper-step", number)},
		{"cheaper-overload", "cheaper-overload", "carried", one("cheaper-overload", number)},
		{"cheaper-algo", "cheaper-algo", "carried: `busyness` or `backlog`", one("cheaper-algo", text)},
		{"idle", "idle", "carried: seconds", one("idle", unlessZero(seconds))},
		{"uid", "uid", "carried", one("uid", text)},
		{"gid", "gid", "carried", one("gid", text)},
		{"max-requests", "max-requests", "carried unless 0", one("max-requests", unlessZero(number))},
		{"max-worker-lifetime", "max-worker-lifetime", "carried: seconds", one("max-worker-lifetime", seconds)},
		{"min-worker-lifetime", "min-worker-lifetime", "carried: seconds", one("min-worker-lifetime", seconds)},
		{"reload-on-rss", "reload-on-rss", "carried: `200` becomes `\"200MiB\"`", one("reload-on-rss", sized(1<<20, "MiB"))},
		{"evil-reload-on-rss", "evil-reload-on-rss", "carried: `200` becomes `\"200MiB\"`", one("evil-reload-on-rss", sized(1<<20, "MiB"))},
		{"reload-on-exception", "reload-on-exception", "carried", one("reload-on-exception", yes)},
	}
}

func socketRules() []rule {
	return []rule{
		{"socket uwsgi-socket", "socket", "carried; with `protocol = http` it becomes `http-socket`. A TCP address that other machines can reach gets an `allow-from` of this machine only: add the proxies", (*translator).socket},
		{"http-socket http11-socket http", "http-socket", "carried; `http` loses its router process", (*translator).socket},
		{"https-socket https https2", "https-socket", "carried: `[[https-socket]]` with address, cert and key", (*translator).https},
		{"shared-socket", "", "replaced: a socket that names it by `=0` gets its address", (*translator).shared},
		{"protocol socket-protocol", "", "replaced: see `socket`", (*translator).protocol},
		{"listen", "listen", "carried", one("listen", number)},
		{"chmod-socket", "chmod-socket", "carried: `664` becomes `\"0664\"`, without a value it is `\"0666\"`", one("chmod-socket", socketMode)},
		{"chown-socket", "chown-socket", "carried", one("chown-socket", text)},
		{"abstract-socket", "socket", "carried: `\"@name\"`", many("socket", func(v string) value { return text("@" + strings.TrimPrefix(v, "@")) })},
		{"stats stats-server", "stats", "carried", one("stats", address)},
	}
}

func limitRules() []rule {
	return []rule{
		{"worker-reload-mercy reload-mercy", "worker-reload-mercy", "carried: seconds", one("worker-reload-mercy", seconds)},
		{"limit-post", "limit-post", "carried: bytes", one("limit-post", unlessZero(sized(1, "bytes")))},
		{"socket-timeout http-timeout so-send-timeout so-write-timeout socket-send-timeout socket-write-timeout", "socket-timeout", "carried: seconds", one("socket-timeout", seconds)},
		{"http-keepalive", "http-keepalive", "carried: seconds; a plain 1 is left out, connections are always kept", one("http-keepalive", keepalive)},
		{"harakiri http-harakiri", "harakiri", "carried: seconds; it ends the request and not the worker", one("harakiri", unlessZero(seconds))},
		{"harakiri-graceful-timeout", "harakiri-graceful-timeout", "carried: seconds", one("harakiri-graceful-timeout", seconds)},
	}
}

func staticRules() []rule {
	return []rule{
		{"static-map", "static-map", "carried", many("static-map", text)},
		{"static-map2", "static-map", "carried: with the folder that the prefix stands for", many("static-map", wholeMap)},
		{"check-static", "check-static", "carried", many("check-static", text)},
		{"static-index", "static-index", "carried", many("static-index", text)},
	}
}

func logRules() []rule {
	return []rule{
		{"logto logto2 logger", "logto", "carried: files only; requests go to the same file unless `req-logger` says otherwise", (*translator).log},
		{"req-logger logger-req", "req-logger", "carried: files only", one("req-logger", logTarget)},
		{"disable-logging", "disable-logging", "carried", one("disable-logging", yes)},
		{"log-format logformat", "", "left out: `req-format` is `\"combined\"` or `\"json\"`", func(_ *translator, it *item) {
			it.leaveOut("the access log has no template: req-format is \"combined\" or \"json\", which has every field")
		}},
	}
}

func lifeRules() []rule {
	return []rule{
		{"chdir chdir2 force-cwd", "chdir", "carried; all relative paths count from it here, and it from the folder of the file", one("chdir", chdir)},
		{"umask", "umask", "carried: `022` becomes `\"0022\"`", one("umask", octal)},
		{"env", "env", "carried: `[env]` at the end", (*translator).env},
		{"pidfile safe-pidfile pidfile2 safe-pidfile2", "pidfile", "carried", (*translator).pidfile},
		{"daemonize daemonize2", "daemonize", "carried", one("daemonize", logFile)},
		{"vacuum", "vacuum", "carried", one("vacuum", yes)},
		{"touch-reload touch-workers-reload touch-chain-reload fs-reload", "touch-reload", "carried", many("touch-reload", text)},
	}
}

func chdir(v string) value {
	if relative(v) {
		return value{quote(v), "counts from the folder of this file; in uWSGI from the folder it is started in", ""}
	}
	return text(v)
}
