#!/usr/bin/env bash
# staticcheck at a pinned version, so that a new check never breaks an old commit.
source "$(dirname "$0")/common.sh"
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
