#!/usr/bin/env bash
# Everything that reads the code without running it.
source "$(dirname "$0")/common.sh"
for gate in fmt vet staticcheck imports sizes; do
	bash ".ci/$gate.sh"
done
