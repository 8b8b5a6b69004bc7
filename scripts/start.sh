#!/usr/bin/env bash
# npm start: sets up, builds, then watches this machine with the shipped rules.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
KESTREL_SETUP_DONE=1 bash scripts/build.sh
exec dist/kestrel run "$@"
