#!/usr/bin/env bash
# How many allocations a request costs, counted without the race detector: it makes sync.Pool
# forget things, so under it the tests have to allow more than the goals do. A test that is
# listed here and does not pass, or is not there any more, is a failure.
source "$(dirname "$0")/common.sh"

tests="
server           TestRequestCostsOneAllocationMoreThanInNetHTTP
server/strict    TestRequestsAllocateNothing
server/uwsgi     TestCodecAllocatesNothing
server/uwsgi     TestRequestIsMadeOfFewPieces
server/uwsgi     TestAResponseAllocatesNothing
worker           TestUWSGIRequestAllocatesLittle
worker           TestARequestIsMadeOfNinePieces
worker           TestAHeartbeatAllocatesNothing
worker/accept    TestReadAndWriteOfAKeptConnectionAllocateNothing
worker/pool      TestHandlerAllocatesOnce
worker/pool      TestConnectionAllocatesOnce
stats/scoreboard TestBeginAndEndAllocateNothing
"
packages=$(awk 'NF { print "./" $1 }' <<<"$tests" | sort -u)
names=$(awk 'NF { print $2 }' <<<"$tests")

said=$(go test -count 1 -v -timeout 2m -run "^($(paste -sd'|' <<<"$names"))\$" $packages) || { echo "$said"; exit 1; }
for name in $names; do
	grep -q "^--- PASS: $name " <<<"$said" || { echo "$name did not run: see .ci/allocs.sh" >&2; exit 1; }
done
grep ' allocations' <<<"$said" || true
