#!/usr/bin/env bash
# bun run test:kernels [SERIES…]: the built agent's sensors under Debian's kernels, in emulated machines. Prints kernel × sensor × result.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --test
KESTREL_SETUP_DONE=1 bash scripts/build.sh
exec node_modules/.bin/bun test/kernels/main.ts "$@"
