#!/usr/bin/env bash
# Statement coverage by package and in all; cover.out is for go tool cover -html.
# Programs that a test builds and runs (examples, worker processes) do not count.
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh
go test -coverprofile cover.out -covermode atomic "$@" ./...
go tool cover -func cover.out | tail -n 1
