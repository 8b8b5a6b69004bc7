#!/bin/sh
# Compiles bpf/*.bpf.c to build/bpf/*.bpf.o with clang. Does nothing for objects that are newer than every source.
set -eu
cd "$(dirname "$0")/.."
out=build/bpf
mkdir -p "$out"

case "$(uname -m)" in
	x86_64) target=x86 ;;
	aarch64) target=arm64 ;;
	*) echo "build-bpf: the sensors know x86_64 and aarch64, not $(uname -m)" >&2; exit 3 ;;
esac

# Debian calls it llvm-strip-14 or llvm-strip. It only makes the object smaller: without it the debug sections stay in.
strip=$(command -v llvm-strip || ls /usr/bin/llvm-strip-* /usr/lib/llvm-*/bin/llvm-strip 2>/dev/null | head -n 1 || true)
# The UAPI headers of Debian's linux-libc-dev lie in the multiarch folder, where clang does not look for the bpf target.
multiarch="/usr/include/$(uname -m)-linux-gnu"

for source in bpf/*.bpf.c; do
	object="$out/$(basename "$source" .c).o"
	if [ -f "$object" ] && [ -z "$(find bpf scripts/build-bpf.sh -newer "$object" \( -name '*.h' -o -path "$source" -o -name build-bpf.sh \))" ]; then
		continue
	fi
	if ! command -v clang >/dev/null; then
		echo "build-bpf: clang is missing: install it with \"apt-get install clang llvm libbpf-dev\"" >&2
		exit 3
	fi
	clang -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$target -I"$multiarch" -Wall -Wextra -Werror -Wno-unused-parameter -c "$source" -o "$object.tmp"
	if [ -n "$strip" ]; then "$strip" -g "$object.tmp"; fi
	mv "$object.tmp" "$object"
	echo "built $object"
done
