#!/usr/bin/env bash
# go vet, and a go.mod that names exactly what is used.
source "$(dirname "$0")/common.sh"
go vet ./...
go -C examples/bench/fasthttp vet . # a module of its own
go mod verify >/dev/null
go mod tidy -diff
