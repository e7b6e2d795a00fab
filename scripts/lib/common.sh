# scripts/lib/common.sh — sourced by the scripts: where we are, messages, the release build.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Compilers at once; each takes up to 1.5 GB of memory.
jobs="${EVENTYARD_JOBS:-$(nproc)}"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# configure PRESET: only when the build folder is new; ninja itself reruns CMake when its files change.
configure() {
    if [ ! -f "$root/build/$1/build.ninja" ]; then
        say "configuring build/$1"
        (cd "$root" && cmake --preset "$1" >"$root/build/.configure-$1.log" 2>&1) ||
            { cat "$root/build/.configure-$1.log" >&2; die "configuring build/$1 failed"; }
    fi
}

# build PRESET [TARGETS...]
build() {
    local preset="$1"; shift
    mkdir -p "$root/build"
    configure "$preset"
    (cd "$root" && ninja -C "build/$preset" -j "$jobs" --quiet "$@" >&2)
}
