#!/usr/bin/env bash
# npm test: sets up, builds, runs every test and closes with one line, "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --test || exit $?
KESTREL_SETUP_DONE=1 bash scripts/build.sh || exit $?
log=$(mktemp)
trap 'rm -f "$log"' EXIT
node_modules/.bin/bun test --timeout 60000 "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
count() { sed -nE "s/^ *([0-9]+) $1\$/\\1/p" "$log" | tail -n 1; }
echo "$(count pass | grep . || echo 0) passed, $(count fail | grep . || echo 0) failed, $(count skip | grep . || echo 0) skipped"
exit "$status"
