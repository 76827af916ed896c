#!/usr/bin/env bash
# The import law: who may import whom. The table is the law; the rest enforces it.
#
# Own packages are named by folder, third-party ones by module. The standard library is free.
# "unsafe" and "C" are not free: they are named like a third-party module.
# A package that is not in the table fails, so a new folder is a decision, not an accident.
source "$(dirname "$0")/common.sh"
module=github.com/seed17661985/ostler

cli=github.com/urfave/cli/v2 hclog=github.com/hashicorp/go-hclog toml=github.com/BurntSushi/toml
prometheus=github.com/prometheus/client_golang sys=golang.org/x/sys goleak=go.uber.org/goleak
yaml=go.yaml.in/yaml/v3 websocket=github.com/coder/websocket pprof=github.com/google/pprof
compress=github.com/klauspost/compress
model=github.com/prometheus/client_model protobuf=google.golang.org/protobuf

# package | own packages it may import | third-party modules it may import
law="
cmd/ostler       | server server/config server/proxyconf server/uwsgiconf stats    | $cli
examples/*       | server                                                          |
examples/chat    | server                                                          | $websocket
examples/metrics | server                                                          | $prometheus
examples/bench   |                                                                 | $sys
examples/bench/benchapp | server examples/bench/handlers                           |
examples/bench/nethttp | examples/bench/handlers                                   |
examples/bench/handlers |                                                          |
server/frontends |                                                                 |
server/servertest| server server/uwsgi stats                                       | $goleak
server/proxyconf | server/config                                                   |
server/forwarded |                                                                 |
server/parking   | server/strict                                                   |
server/static    |                                                                 | unsafe
server/static/attacks |                                                            |
server/collect   | server/static                                                   | $compress
server           | server/collect server/config server/forwarded server/parking server/static server/strict server/uwsgi master worker worker/control worker/pool stats stats/scoreboard stats/endpoint stats/appmetrics | $cli $hclog $sys $prometheus $model
server/config    |                                                                 | $toml
server/uwsgiconf | server/config                                                   | $yaml
server/strict    |                                                                 |
server/strict/malformed |                                                          |
server/uwsgi     |                                                                 | $sys
master           | master/cgroup worker/control stats stats/scoreboard             | $hclog $sys
master/cgroup    |                                                                 |
worker           | worker/accept worker/control worker/pool stats/scoreboard       | $hclog $pprof
worker/accept    | worker/control                                                  | $sys unsafe
worker/control   |                                                                 | $sys
worker/pool      | stats/scoreboard                                                |
stats            |                                                                 | $sys
stats/scoreboard | stats                                                           | $sys unsafe
stats/endpoint   | stats                                                           | $prometheus
stats/appmetrics |                                                                 | $prometheus $model $protobuf
"

# Tests may import, besides what their package may: these modules, everywhere ...
test_modules="$goleak github.com/rogpeppe/go-internal $prometheus $model $protobuf github.com/prometheus/common $hclog $toml $websocket"
# ... and these own packages, where a test needs a neighbour to talk to.
test_law="
cmd/ostler       | server/servertest server/uwsgi
examples/*       | server/servertest stats server/uwsgi
examples/metrics | server/servertest stats
examples/bench   | server/servertest server/uwsgi
server/frontends | server server/servertest server/uwsgi
examples/chat    | server/servertest stats
server           | server/servertest server/static/attacks server/strict/malformed
server/static    | server/static/attacks
server/parking   | worker/pool stats/scoreboard
server/strict    | server/strict/malformed
server/uwsgi     | worker/accept
master           | worker
worker           | stats server/uwsgi
worker/pool      | stats server/uwsgi
stats/endpoint   | stats/scoreboard
"

violations() {
	awk -F'|' -v module="$module" -v law="$law" -v test_law="$test_law" -v test_modules="$test_modules" '
	function words(text, into, prefix,   n, i, w) {
		n = split(text, w, /[ \t]+/)
		for (i = 1; i <= n; i++) if (w[i] != "") into[prefix w[i]] = 1
	}
	function rule(folder) { # examples/hello falls under examples/*
		if (folder in known) return folder
		sub(/\/.*/, "/*", folder)
		return folder
	}
	function permitted(r, import, test,   i, m, parts, n) {
		if (index(import, module "/") == 1) {
			import = substr(import, length(module) + 2)
			return ((r SUBSEP import) in own) || (test && (r SUBSEP import) in test_own)
		}
		for (i in modules) {
			n = split(i, parts, SUBSEP)
			m = parts[2]
			if ((parts[1] == r || (test && parts[1] == "*")) && (import == m || index(import, m "/") == 1)) return 1
		}
		return 0
	}
	function check(folder, imports, test,   n, i, w) {
		n = split(imports, w, " ")
		for (i = 1; i <= n; i++) {
			if (w[i] !~ /\./ && w[i] != "unsafe" && w[i] != "C") continue # standard library
			if (w[i] == module "/" folder) continue # package x_test imports x
			if (!permitted(rule(folder), w[i], test)) print folder (test ? " (tests)" : "") " may not import " w[i]
		}
	}
	BEGIN {
		n = split(law, line, "\n")
		for (i = 1; i <= n; i++) if (split(line[i], col, "|") == 3) {
			gsub(/ /, "", col[1]); known[col[1]] = 1
			words(col[2], own, col[1] SUBSEP); words(col[3], modules, col[1] SUBSEP)
		}
		n = split(test_law, line, "\n")
		for (i = 1; i <= n; i++) if (split(line[i], col, "|") == 2) {
			gsub(/ /, "", col[1]); words(col[2], test_own, col[1] SUBSEP)
		}
		words(test_modules, modules, "*" SUBSEP)
	}
	{
		folder = substr($1, length(module) + 2)
		if (!(rule(folder) in known)) print folder " is not in the table of .ci/imports.sh"
		check(folder, $2, 0); check(folder, $3, 1)
	}'
}

found=$(for os in linux darwin freebsd; do # a file for one system obeys the same law
	GOOS=$os go list -f '{{.ImportPath}}|{{join .Imports " "}}|{{join .TestImports " "}} {{join .XTestImports " "}}' ./... || exit 1
done | violations | sort -u)
[ -z "$found" ] || { echo "$found" >&2; exit 1; }
