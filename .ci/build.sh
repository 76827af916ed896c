#!/usr/bin/env bash
# bin/ostler (the operator's command) and the examples.
source "$(dirname "$0")/common.sh"
mkdir -p bin
go build -o bin/ ./cmd/... ./examples/...
