#!/usr/bin/env bash
# Runs the tests, each file of test/ in a process of its own: what one does to its process, the others do not pay for. Closes with one line,
# "N passed, N failed, N skipped". With arguments: one process with those.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0 status=0 failures=

count() { sed -nE "s/^ *([0-9]+) $1\$/\\1/p" "$log" | tail -n 1 | grep . || echo 0; }

# Each failed test with the last lines of what it said: whoever reads only the end of a long log needs no more.
failed_tests() {
  awk -v files="$1" '
    /^\((pass|fail|skip|todo)\)/ {
      if (/^\(fail\)/) { print files ": " $0; for (at = count > 30 ? count - 29 : 1; at <= count; at++) print "    " said[at] }
      count = 0; next
    }
    { said[++count] = $0 }' "$log"
}

run() {
  local code
  node_modules/.bin/bun test --timeout 60000 "$@" 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  passed=$((passed + $(count pass))) failed=$((failed + $(count fail))) skipped=$((skipped + $(count skip)))
  [ "$code" -eq 0 ] && return
  status=$code
  failures+=$(failed_tests "$*")$'\n'
  # A run that died says nothing of its tests: it counts as one that failed.
  grep -qE '^ *[0-9]+ fail$' "$log" || { failed=$((failed + 1)); failures+="$*: ended with $code before its summary"$'\n'; }
}

if [ $# -gt 0 ]; then
  run "$@"
else
  while read -r file; do run "./$file" </dev/null; done < <(find test -name '*.test.ts' | sort)
fi
[ -z "$failures" ] || printf '%s' "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
