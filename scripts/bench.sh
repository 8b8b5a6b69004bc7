#!/usr/bin/env bash
# bun run bench [--json]: every benchmark, one table.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${KESTREL_SETUP_DONE:-}" ] || bash scripts/setup.sh
KESTREL_SETUP_DONE=1 bash scripts/build.sh
exec node_modules/.bin/bun test/bench/main.ts "$@"
