#!/usr/bin/env bash
# The proofs that take long (OSTLER_SOAK: 200 deploys in a row, 50 masters killed, ...), then the
# whole test suite again and again for SOAK seconds (default 1800), to the first failure.
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh
OSTLER_SOAK=1 go test -race -count 1 -timeout 60m -v -run 'TestDeploysInARow|TestKilledMasters|TestSuccession|TestALeakCosts|TestTenfoldOverload|TestReloads|TestAppCountersAre|TestPrometheusCounts' ./server
rounds=0
while [ "$SECONDS" -lt "${SOAK:-1800}" ]; do
	go test -race -count 1 -shuffle on -timeout 15m "$@" ./...
	rounds=$((rounds + 1))
	echo "round $rounds passed after ${SECONDS}s"
done
