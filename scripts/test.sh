#!/usr/bin/env bash
# npm test: sets up, builds, runs every test and closes with one line, "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --test || exit $?
KESTREL_SETUP_DONE=1 bash scripts/build.sh || exit $?
exec bash scripts/run-tests.sh "$@"
