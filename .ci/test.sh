#!/usr/bin/env bash
# Every test, with the race detector, and what is counted without it.
# Packages by name: test.sh ./worker/...
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh

# The longest come first, so that the others run beside them and not before them.
[ "$#" -gt 0 ] || set -- ./server ./server/frontends ./...
# In CI a real peer (nginx, uwsgi, curl) that is missing is a failure, not a skip, and a
# result from the cache is no result: it does not know the peers.
[ "${CI:-}" != true ] || { export OSTLER_REQUIRE_PEERS=1; set -- -count 1 "$@"; }
# The bound is for a test that hangs. A busy machine is three times as slow as an idle one.
# Most tests wait most of the time, so more of them run at once than there are processors.
# What vet has to say is .ci/vet.sh's.
go test -race -vet=off -parallel 4 -timeout 12m "$@"
# What package accept does on Linux, package net does elsewhere: the same tests hold for both.
go test -race -timeout 2m ./server/uwsgi -plain
bash .ci/allocs.sh
