# Shared by the set-up scripts: steps that are skipped when done, and failures of one line. Sourced, not run.
# shellcheck shell=bash

logs=build/logs

say() { printf '%s\n' "$*"; }

# fail MESSAGE: ends the set-up with one line that says what to do.
fail() {
    printf 'set-up: %s\n' "$1" >&2
    exit 1
}

# is_done STAMP KEY: true when STAMP says KEY. A stamp lies inside what it vouches for, so that deleting
# the thing deletes the stamp; it holds a digest instead of a time, because a checkout changes times.
is_done() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# step STAMP KEY MESSAGE COMMAND...: unless STAMP says KEY, says MESSAGE, runs COMMAND, stamps and says how
# long it took. Interrupted anywhere, there is no stamp, and the next run takes the step again.
step() {
    local stamp=$1 key=$2 message=$3 begun=$SECONDS
    shift 3
    is_done "$stamp" "$key" && return
    say "==> $message"
    "$@"
    printf '%s\n' "$key" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    say "    done in $((SECONDS - begun)) s"
}

# logged NAME COMMAND...: runs COMMAND with its output in build/logs/NAME.log; returns its status.
logged() {
    local log="$logs/$1.log"
    shift
    "$@" >"$log" 2>&1 </dev/null
}

# home_of PYTHON: where a virtual environment here lies, and whose Python it takes; moved or with another, it is broken.
home_of() { printf '%s with %s' "$PWD" "$("$1" -c 'import sys; print(sys.base_prefix, sys.version_info[:2])')"; }

# need_space GIB WHAT: fails unless the checkout's disk has that much room.
need_space() {
    local free
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$1" ] || fail "$2 need $1 GB of disk here, found $free GB: free some, or clone onto a larger disk"
}

# as_root COMMAND...: runs COMMAND as root where that needs no password; else returns 1.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# can_apt: true when Debian packages can be installed without asking anybody.
can_apt() { command -v apt-get >/dev/null && as_root true 2>/dev/null; }

# apt_install PACKAGE...: installs them, refreshing the package lists only when that is needed.
apt_install() {
    local install=(as_root env DEBIAN_FRONTEND=noninteractive
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@")
    logged apt "${install[@]}" && return
    logged apt-update as_root apt-get update -q && logged apt "${install[@]}"
}
