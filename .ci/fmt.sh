#!/usr/bin/env bash
# Every Go file is gofmt clean.
source "$(dirname "$0")/common.sh"
unformatted=$(go_files | xargs gofmt -s -l)
[ -z "$unformatted" ] || { printf 'not gofmt -s clean:\n%s\n' "$unformatted" >&2; exit 1; }
