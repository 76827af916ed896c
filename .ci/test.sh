#!/usr/bin/env bash
# Every test, with the race detector. Packages by name: test.sh ./worker/...
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh

# A real peer (nginx, uwsgi, curl) that is missing: skip at home, fail in CI.
[ "${CI:-}" != true ] || export OSTLER_REQUIRE_PEERS=1
[ "$#" -gt 0 ] || set -- ./...
go test -race -timeout 8m "$@"
