#!/usr/bin/env bash
# go vet, and a go.mod that names exactly what is used.
source "$(dirname "$0")/common.sh"
go vet ./...
go mod verify >/dev/null
go mod tidy -diff
