#!/usr/bin/env bash
# Every fuzz target for FUZZTIME (default 30s each), FUZZJOBS of them at once (default 1).
source "$(dirname "$0")/common.sh"
targets=$(go_files | xargs grep -Eo '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func / /')
[ -n "$targets" ] || { echo "no fuzz target found" >&2; exit 1; }

fuzz() { # file name: the output of each target stays together
	local dir
	dir=$(dirname "$1")
	# Without the limit on minimizing, a long find costs minutes in which nothing is tried.
	out=$(go test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 10x ${FUZZJOBS:+-parallel 1} "./$dir" 2>&1) && verdict=ok || verdict=FAILED
	echo "== $2 in $dir: $verdict"
	if [ "$verdict" = ok ]; then tail -n 3 <<<"$out"; else echo "$out"; exit 1; fi
}
export -f fuzz
xargs -P "${FUZZJOBS:-1}" -L 1 bash -c 'fuzz "$@"' fuzz <<<"$targets"
