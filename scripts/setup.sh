#!/usr/bin/env bash
# Brings everything the build and the tests need: Bun, npm packages, clang, native libraries, BPF objects, generated sources.
# Does nothing when all of it is there. `--test` also brings what only tests need (a browser, an emulator
# and Debian's kernel 6.1).
set -euo pipefail
cd "$(dirname "$0")/.."

BUN_VERSION=1.4.5
WASMTIME_VERSION=50.0.1
WASMTIME_SHA256_x86_64=cc14c3a17654e0394e0225b11813532ef0cd7bd1e222a0c5494cdedaabeddac4
WASMTIME_SHA256_aarch64=675484e525c028dc02762b777f1db4477ea70caa3fec6775426daff4d64edfb1

for_tests=
[ "${1:-}" = "--test" ] && for_tests=1

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 3; }

library_path() { # soname → path of the installed library
  PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }'
}

install_packages() {
  local missing=() pair
  for pair in "$@"; do # "package=test that says it is there"
    eval "${pair#*=}" >/dev/null 2>&1 || missing+=("${pair%%=*}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "needs ${missing[*]}; install them with this system's package manager"
  [ "$(id -u)" -eq 0 ] || fail "needs ${missing[*]}; run as root once: apt-get install --no-install-recommends ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_bun() {
  [ "$(node_modules/.bin/bun --version 2>/dev/null)" = "$BUN_VERSION" ] && return
  local bun
  bun=$(command -v bun || true)
  if [ -z "$bun" ]; then
    bun=.tools/node_modules/.bin/bun
    if [ "$("$bun" --version 2>/dev/null)" != "$BUN_VERSION" ]; then
      command -v npm >/dev/null || fail "needs npm or Bun on the PATH"
      say "installing Bun $BUN_VERSION"
      mkdir -p .tools
      npm install --no-save --no-audit --no-fund --loglevel=error --prefix .tools "bun@$BUN_VERSION" >/dev/null
    fi
  fi
  say "installing npm packages"
  "$bun" install --frozen-lockfile --silent
}

install_node_modules() {
  local stamp=node_modules/.kestrel-lock
  cmp -s bun.lock "$stamp" && return
  say "installing npm packages of bun.lock"
  node_modules/.bin/bun install --frozen-lockfile --silent
  cp bun.lock "$stamp"
}

install_wasmtime() {
  local stamp=build/lib/libwasmtime.version arch sha work
  [ "$(cat "$stamp" 2>/dev/null)" = "$WASMTIME_VERSION" ] && [ -s build/lib/libwasmtime.so ] && return
  arch=$(uname -m)
  case $arch in
    x86_64) sha=$WASMTIME_SHA256_x86_64 ;;
    aarch64) sha=$WASMTIME_SHA256_aarch64 ;;
    *) fail "no libwasmtime for $arch: Kestrel runs on x86_64 and aarch64" ;;
  esac
  say "fetching libwasmtime $WASMTIME_VERSION"
  work=$(mktemp -d)
  printf 'wasmtime==%s --hash=sha256:%s\n' "$WASMTIME_VERSION" "$sha" >"$work/requirements.txt"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -d "$work" -r "$work/requirements.txt"
  python3 -m zipfile -e "$work"/wasmtime-*.whl "$work/wheel"
  install -m 0644 "$work/wheel/wasmtime/linux-$arch/_libwasmtime.so" build/lib/libwasmtime.so
  rm -rf "$work"
  echo "$WASMTIME_VERSION" >"$stamp"
}

copy_libraries() { # the shared objects the binary carries beside libwasmtime
  local pair source
  for pair in libz=libz.so.1 libelf=libelf.so.1 libbpf=libbpf.so.1 libluajit=libluajit-5.1.so.2; do
    source=$(readlink -f "$(library_path "${pair#*=}")")
    cmp -s "$source" "build/lib/${pair%%=*}.so" || install -m 0644 "$source" "build/lib/${pair%%=*}.so"
  done
}

install_packages \
  "clang=command -v clang" \
  "llvm=command -v llvm-strip" \
  "libbpf-dev=test -e /usr/include/bpf/bpf_helpers.h" \
  "libelf-dev=test -e /usr/include/libelf.h" \
  "zlib1g-dev=test -e /usr/include/zlib.h" \
  "libluajit-5.1-2=test -n \"\$(library_path libluajit-5.1.so.2)\"" \
  "python3-pip=python3 -m pip --version"
if [ -n "$for_tests" ]; then
  # In subshells: what only some tests need must not end the setup.
  (install_packages "chromium=command -v chromium") || say "no browser: browser tests will be skipped"
  (install_packages "iproute2=command -v ip") || say "no ip: network isolation will not be tested"
  (install_packages "qemu-system-x86=command -v qemu-system-x86_64" \
    "busybox-static=command -v busybox && ! ldd \"\$(command -v busybox)\"") || say "no emulator: the kernel test will be skipped"
  reason=$(scripts/fetch-kernel.sh bookworm) || say "no other kernel: the kernel test will be skipped ($reason)"
fi
mkdir -p build/lib build/bpf
install_bun
install_node_modules
install_wasmtime
copy_libraries
bun=node_modules/.bin/bun
scripts/build-bpf.sh
"$bun" scripts/generate.ts
