# Sourced by every gate: stop at the first error, work from the top of the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# nginx lives in sbin, which is not on an ordinary user's PATH.
export PATH="$PATH:/usr/sbin:/sbin"

# A clone owned by another user makes git refuse to answer, and go build with it.
# Gates never need git: files are found by find, and builds carry no VCS stamp then.
git rev-parse HEAD >/dev/null 2>&1 || export GOFLAGS="${GOFLAGS:-} -buildvcs=false"

go_files() { find . -name '*.go' -not -path './.git/*' -not -path './bin/*' -not -path './.run/*' | sort; }
