#!/usr/bin/env bash
# Every fuzz target for FUZZTIME (default 30s each).
source "$(dirname "$0")/common.sh"
targets=$(go_files | xargs grep -Eo '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/')
[ -n "$targets" ] || { echo "no fuzz target found" >&2; exit 1; }
for target in $targets; do
	file=${target%%:*} name=${target##*:}
	echo "== $name in $(dirname "$file")"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30s}" "$(dirname "$file")"
done
