#!/usr/bin/env bash
# Installs, by apt and only when missing, what a bare Debian 12 with Go lacks. Where it
# cannot, it names the one command that does; then only CI and a missing compiler fail here.
source "$(dirname "$0")/common.sh"

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); } # command, Debian package
need nginx nginx-light
need uwsgi uwsgi-core
need apache2 apache2-bin
need lighttpd lighttpd
need haproxy haproxy # what ostler proxy writes
need caddy caddy
[ -e /usr/lib/lighttpd/mod_openssl.so ] || missing+=(lighttpd-mod-openssl)
need curl curl
need promtool prometheus # the names of the metrics, by Prometheus itself
need prometheus prometheus # counts over reloads as an operator would
need ip iproute2 # a network of its own for the embedded default
need chromium chromium # examples/chat
need wrk wrk # examples/bench
need git git # programs of two revisions, for deploys
need make make
need cc gcc # the race detector needs cgo
[ "$(uname)" != Linux ] || [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
if [ "${1:-}" = bench ]; then # all that is compared, and nothing of it may be left out
	need gunicorn gunicorn
	need strace strace
	[ -e /usr/lib/uwsgi/plugins/python3_plugin.so ] || missing+=(uwsgi-plugin-python3)
fi
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"

can_install() {
	command -v apt-get >/dev/null || return 1
	[ "${#as_root[@]}" -eq 0 ] && return 0
	sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }
}
if can_install; then
	echo "installing: ${missing[*]}"
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c "$command" >"$log" 2>&1 && exit 0
	tail -n 20 "$log" >&2
fi

echo "missing: ${missing[*]}. Run this, then try again:" >&2
echo "    sudo sh -c '$command'" >&2
[ "${CI:-}" != true ] && [ "${1:-}" != bench ] && command -v cc >/dev/null || exit 1
echo "going on without; the tests that need them are skipped" >&2
