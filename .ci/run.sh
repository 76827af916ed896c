#!/usr/bin/env bash
# The first minute: builds examples/hello and serves it in the foreground.
source "$(dirname "$0")/common.sh"
mkdir -p bin
go build -o bin/hello ./examples/hello
echo "hello:  http://127.0.0.1:8000/"
echo "stats:  http://127.0.0.1:9191/"
echo "stop:   Ctrl-C"
exec bin/hello --config examples/hello/hello.toml
