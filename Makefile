# Each target is one line into .ci/, where the scripts say what they do.
.PHONY: run build test race fuzz lint cover ci soak bench

run:   ; @bash .ci/run.sh
build: ; @bash .ci/build.sh
test:  ; @bash .ci/test.sh
race:  ; @bash .ci/race.sh
fuzz:  ; @bash .ci/fuzz.sh
lint:  ; @bash .ci/lint.sh
cover: ; @bash .ci/cover.sh
ci:    ; @bash .ci/run
soak:  ; @bash .ci/soak.sh
bench: ; @bash .ci/bench.sh
