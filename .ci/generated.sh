#!/usr/bin/env bash
# Files that a program writes are what it would write now. Each such file has a test whose
# name ends in IsCurrent; with -update the test writes the file (go generate ./... does).
source "$(dirname "$0")/common.sh"
tests=$(go_files | xargs grep -lE '^func Test[A-Za-z0-9_]*IsCurrent\(' || true)
[ -n "$tests" ] || { echo "no test ends in IsCurrent: who checks docs/config.md?" >&2; exit 1; }
go test -count 1 -run 'IsCurrent$' $(for file in $tests; do dirname "$file"; done | sort -u)
