# scripts/lib/packages.sh — sourced: installs what scripts/lib/packages names and is missing.

# package_names GROUP: the names for "build", "test" (those and the ones marked "?") or "fuzz" (all).
package_names() {
    local line mark name _
    while read -r line; do
        read -r mark name _ <<<"${line%%#*}" || true
        case "$mark" in
            '') continue ;;
            '?') [ "$1" != build ] || continue ;;
            '!') [ "$1" = fuzz ] || continue ;;
            *) name="$mark" ;;
        esac
        printf '%s\n' "$name"
    done <"$root/scripts/lib/packages"
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]; }

# install_packages GROUP: quiet when nothing is missing.
install_packages() {
    local name missing=() as_root=()
    command -v dpkg-query >/dev/null ||
        die "these scripts install Debian 12 packages; elsewhere install the equivalents of scripts/lib/packages and use cmake --workflow --preset release"
    for name in $(package_names "$1"); do installed "$name" || missing+=("$name"); done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing packages (${missing[*]}): run this as root, or install sudo"
        as_root=(sudo)
    fi
    say "installing: ${missing[*]}"
    # Packages with a daemon (redis-server) would start it on this machine; the tests run their own
    # on a free port. A link to /dev/null keeps a unit from being started or enabled.
    keep_services_off "${missing[@]}"
    local log; log="$(mktemp)"
    {
        "${as_root[@]}" apt-get update -q &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    } >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get failed (whole log: $log)"; }
    rm -f "$log"
}

# Masks the units of packages that are about to be installed; one that is installed is left as it is.
keep_services_off() {
    local name
    for name in "$@"; do
        case "$name" in
            redis-server) mask_unit redis-server.service ;;
        esac
    done
}
mask_unit() {
    local unit="/etc/systemd/system/$1"
    [ -e "$unit" ] || [ -L "$unit" ] && return 0
    say "masking $1: only the tests need it (undo with: systemctl unmask $1)"
    "${as_root[@]}" mkdir -p /etc/systemd/system
    "${as_root[@]}" ln -s /dev/null "$unit"
}
