#!/usr/bin/env bash
# The whole test suite again and again for SOAK seconds (default 1800), to the first failure.
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh
rounds=0
while [ "$SECONDS" -lt "${SOAK:-1800}" ]; do
	go test -race -count 1 -shuffle on -timeout 15m "$@" ./...
	rounds=$((rounds + 1))
	echo "round $rounds passed after ${SECONDS}s"
done
