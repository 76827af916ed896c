#!/usr/bin/env bash
# A file stays under 400 lines, a function under 60 (tests: files only). Over that there is
# a second room in it. A flat list (one switch, one table) may be named in sizes.allow.
source "$(dirname "$0")/common.sh"

go_files | xargs awk '
	FILENAME == ".ci/sizes.allow" { if ($1 !~ /^#/ && NF) allowed[$1] = 1; next }
	FNR == 1                      { over = 0; name = "" }
	FNR == 401 && !(FILENAME in allowed) { print FILENAME ": over 400 lines"; bad = 1 }
	FILENAME ~ /_test\.go$/       { next }
	/^func .*[^{]$/ && /}$/       { next } # a function on one line
	/^func /                      { name = $0; start = FNR }
	/^}/ && name != "" {
		lines = FNR - start + 1
		sub(/^func (\([^)]*\) )?/, "", name); sub(/[\[(].*/, "", name)
		if (lines > 60 && !(FILENAME ":" name in allowed)) {
			printf "%s:%d: %s has %d lines\n", FILENAME, start, name, lines; bad = 1
		}
		name = ""
	}
	END { exit bad }
' .ci/sizes.allow
