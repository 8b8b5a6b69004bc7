#!/usr/bin/env bash
# Brings Debian's cloud kernel of one suite to build/kernels/SUITE/vmlinuz, and its modules veth and overlay, for the kernel tests. Asks the Debian archive this machine's own
# apt is set up for, with lists and sources of its own: the machine's are not touched. Does nothing when the kernel is there. Exit 4 and a
# reason: this machine cannot have it.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:?usage: fetch-kernel.sh SUITE}
folder=$PWD/build/kernels/$suite
work=$folder/apt

cannot() { printf '%s\n' "$*"; exit 4; }

archives() { # URIs of the archives the machine's apt takes Debian from; lists that end in -security are another archive
  apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' | awk -v security="$1" \
    '$1 == "Debian" && ($2 ~ /-security$/) == security { print $3; exit }'
}

apt() { # apt's two commands on our own lists
  local command=$1
  shift
  "$command" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=2 "$@"
}

[ -s "$folder/vmlinuz" ] && [ -e "$folder/veth.ko" ] && [ -e "$folder/overlay.ko" ] && exit 0
[ "$(uname -m)" = x86_64 ] || cannot "kernel tests know x86_64 machines only"
command -v apt-get >/dev/null && command -v dpkg >/dev/null || cannot "no apt on this machine"
archive=$(archives 0)
[ -n "$archive" ] || cannot "this machine's apt has no lists of a Debian archive (apt-get update, if it is a Debian)"
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/tree"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[ ! -e "$keyring" ] || signed="[signed-by=$keyring]"
echo "deb $signed $archive $suite main" >"$work/sources.list"
security=$(archives 1)
case $suite in sid) ;; *) [ -z "$security" ] || echo "deb $signed $security $suite-security main" >>"$work/sources.list" ;; esac
apt apt-get update -qq -o APT::Update::Error-Mode=any >"$work/log" 2>&1 || cannot "suite $suite cannot be reached: $(tail -n 1 "$work/log")"
release=$(apt apt-cache show --no-all-versions linux-image-cloud-amd64 | sed -nE 's/^Depends:.*linux-image-([0-9][^ ,]*-cloud-amd64).*/\1/p')
[ -n "$release" ] || cannot "suite $suite has no cloud kernel"
# Since Linux 7 the image and the modules lie in packages of their own.
packages=("linux-binary-$release" "linux-modules-$release")
apt apt-cache show "${packages[0]}" >/dev/null 2>&1 || packages=("linux-image-$release")
printf 'setup: fetching Linux %s\n' "$release" >&2
(cd "$work" && apt apt-get download -qq "${packages[@]}" >log 2>&1) || cannot "${packages[*]} cannot be fetched: $(tail -n 1 "$work/log")"
for package in "$work"/*.deb; do dpkg -x "$package" "$work/tree"; done
image=$(find "$work/tree" -type f -name 'vmlinuz*' -print -quit)
[ -n "$image" ] || cannot "${packages[*]} hold no kernel image"
# A wire between two network namespaces, for tests of isolation, and what containers are made on. An empty file: this kernel's package has no
# such module.
for name in veth overlay; do
  module=$(find "$work/tree" -type f -name "$name.ko*" -print -quit)
  case $module in
  *.xz) xz -dc "$module" >"$folder/$name.ko" ;;
  *.zst) zstd -dcq "$module" >"$folder/$name.ko" ;;
  ?*) cp "$module" "$folder/$name.ko" ;;
  *) : >"$folder/$name.ko" ;;
  esac
done
echo "$release" >"$folder/release"
mv "$image" "$folder/vmlinuz"
