#!/usr/bin/env bash
# Every test three times on one and on four Ps: what one lucky schedule hides.
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh
go test -race -count 3 -cpu 1,4 -timeout 45m "$@" ./...
