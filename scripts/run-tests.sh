#!/usr/bin/env bash
# Runs the tests, each file of test/ in a process of its own: what one does to its process, the others do not pay for. Emulated machines run beside
# the tests that ask nothing of this one's kernel; those that do follow alone. Closes with one line, "N passed, N failed, N skipped". With
# arguments: one process with those.
set -uo pipefail
cd "$(dirname "$0")/.."
# A file that takes longer hangs. An emulated machine takes minutes, and has deadlines of its own.
DEADLINE_S=300
EMULATED_DEADLINE_S=1500
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What runs in the background does not hear the terminal.
trap 'trap - TERM; kill -TERM 0' INT

# Into a file, not a pipe: what a test left running would hold that open, and us with it.
run() { # deadline, log, what bun test is given
  local deadline=$1 log=$2 code=0
  shift 2
  timeout --foreground -k 10 "$deadline" node_modules/.bin/bun test --timeout 60000 "$@" </dev/null >"$log" 2>&1 || code=$?
  [ "$code" -ne 124 ] || echo "ended after $deadline s: it hangs" >>"$log"
  echo "$code" >"$log.code"
  flock "$work" cat "$log"
}

run_files() { # deadline; the files on standard input
  local file
  while read -r file; do run "$1" "$work/${file//\//_}" "./$file"; done
}

needs_machine() { # the files on standard input that look at this machine's kernel, and at what others do on it
  while read -r file; do
    case $file in
      test/ebpf/* | test/evasion/* | test/ffi/* | test/respond/* | test/self/*) echo "$file" ;;
      *) ! grep -q '/agent-process\.ts"' "$file" || echo "$file" ;;
    esac
  done
}

# Each failed test with the last lines of what it said: whoever reads only the end of a long log needs no more.
failed_tests() { # log, name of it
  awk -v name="$2" '
    /^\((pass|fail|skip|todo)\)/ {
      if (/^\(fail\)/) { print name ": " $0; for (at = count > 30 ? count - 29 : 1; at <= count; at++) print "    " said[at] }
      count = 0; next
    }
    { said[++count] = $0 }' "$1"
}

count() { sed -nE "s/^ *([0-9]+) $1\$/\\1/p" "$2" | tail -n 1 | grep . || echo 0; }

if [ $# -gt 0 ]; then
  run "$EMULATED_DEADLINE_S" "$work/tests" "$@"
else
  find test -name '*.test.ts' | sort >"$work/files"
  grep '^test/kernels/' "$work/files" | run_files "$EMULATED_DEADLINE_S" &
  needs_machine <"$work/files" >"$work/machine"
  grep -v '^test/kernels/' "$work/files" | grep -vxFf "$work/machine" | run_files "$DEADLINE_S"
  wait
  run_files "$DEADLINE_S" <"$work/machine"
fi

passed=0 failed=0 skipped=0 status=0
for code in "$work"/*.code; do
  log=${code%.code}
  passed=$((passed + $(count pass "$log"))) failed=$((failed + $(count fail "$log"))) skipped=$((skipped + $(count skip "$log")))
  read -r ended <"$code"
  [ "$ended" -eq 0 ] && continue
  status=1
  name=$(basename "$log")
  failed_tests "$log" "${name//_//}"
  # A run that died says nothing of its tests: it counts as one that failed.
  grep -qE '^ *[0-9]+ fail$' "$log" || { failed=$((failed + 1)); echo "${name//_//}: ended with $ended before its summary"; tail -n 30 "$log" | sed 's/^/    /'; }
done
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
