#!/usr/bin/env bash
# Linux is the target; every package and its tests must also compile elsewhere.
source "$(dirname "$0")/common.sh"
for os in darwin freebsd; do
	echo "$os"
	GOOS=$os go build ./...
	GOOS=$os go vet ./...
done
