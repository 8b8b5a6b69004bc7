#!/usr/bin/env bash
# bun run check: format and lint, types, dead code, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=node_modules/.bin
"$bin/biome" check --error-on-warnings .
"$bin/tsc"
"$bin/knip"
exec bash scripts/run-tests.sh
