#!/usr/bin/env bash
# Measures ostler beside its peers and writes docs/benchmarks.md; a goal that is missed is an
# error. Flags of examples/bench take its place: bench.sh -case hello -conns 32 -rounds 3.
source "$(dirname "$0")/common.sh"
bash .ci/deps.sh bench

[ "$#" -gt 0 ] || set -- -o docs/benchmarks.md
# Two CPUs, also where there are more: the peers are set up for two, and a table is then
# about servers and not about how many cores a machine has.
two=()
[ "$(nproc)" -le 2 ] || two=(taskset -c "$(taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' |
	awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }' | head -n 2 | paste -sd,)")
exec "${two[@]}" go run ./examples/bench "$@"
