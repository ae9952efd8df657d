#!/usr/bin/env bash
# Sets up all that jobs need, with --torch what the tests need, with --speech what demo and tests hear; what is done
# already is skipped.
#
#   scripts/setup.sh [--torch] [--speech]
#
# PYTHON names another interpreter, JAVA_HOME another Java. All lands in .venv/ and build/; only a missing
# Java or venv module is installed outside of the checkout, by apt, where that needs no password.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

extras=jobs,demo,dev,extractors weights= stamp=.venv/.packages room=4 speech=
packages="installing the packages of constraints.txt into .venv (about 2 minutes, 0.5 GB to fetch)"
for said in "$@"; do
    case $said in
    --torch)
        extras=jobs,demo,dev,extractors,torch weights=resemblyzer stamp=.venv/.packages-torch room=12
        packages="installing the packages of constraints.txt and torch into .venv (about 5 minutes, 3 GB to fetch)"
        ;;
    --speech) speech=yes ;;
    *) fail "$said is neither --torch nor --speech" ;;
    esac
done

find_python() {
    local candidate found
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>/dev/null) || true
    fail "needs Python 3.11 or 3.12, found ${found:-none}: install python3.11, or say PYTHON=/path/to/python3.11"
}

need_venv_module() {
    local package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    can_apt || fail "$python has no venv module: as root, apt-get install $package"
    say "==> installing $package by apt (about 10 s)"
    apt_install "$package" || fail "apt could not install $package (see $logs/apt.log): is there a network?"
}

# A venv whose making or filling was interrupted may hold packages that pip takes for complete.
make_venv() {
    if [ -e .venv/.unfinished ] || ! is_done .venv/.home "$home" || ! .venv/bin/python -c '' 2>/dev/null; then
        rm -rf .venv
        mkdir .venv
        touch .venv/.unfinished
        logged venv "$python" -m venv .venv || fail "$python -m venv failed (see $logs/venv.log): install another Python 3.11 and say PYTHON=/path/to/it"
        printf '%s\n' "$home" >.venv/.home
    fi
    touch .venv/.unfinished
}

pip_install() {
    logged pip .venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$@" && return
    # Without a network pip fails before it touches the environment, which is then as good as it was.
    grep -q '^Installing collected packages' "$logs/pip.log" || rm -f .venv/.unfinished
    ! grep -q 'No space left' "$logs/pip.log" || fail "the disk is full: free $room GB and run again"
    ! grep -q 'ResolutionImpossible' "$logs/pip.log" || fail "setup.cfg and constraints.txt contradict each other: see $logs/pip.log"
    fail "pip could not install the packages (see $logs/pip.log): is the package index reachable from here?"
}

install_packages() {
    need_space "$room" "the Python packages"
    make_venv
    # The build backend comes from constraints.txt too, so that nothing unpinned is ever fetched.
    pip_install setuptools wheel
    pip_install --no-build-isolation -e ".[$extras]"
    # Holds the weights of the extractor speaker. It is never imported, so it comes without what it requires:
    # librosa, and webrtcvad, which wants a compiler.
    [ -z "$weights" ] || pip_install --no-deps "$weights"
    rm .venv/.unfinished
    # torch's set holds the smaller one.
    printf '%s\n' "$key" >.venv/.packages
}

fetch_jars() {
    logged jars .venv/bin/python scripts/fetch_jars.py build/jars ||
        fail "Ivy could not fetch Delta's jars (see $logs/jars.log): is the jar registry reachable from here?"
}

# Beside Spark's own jars, so that plain spark-submit and jobs started elsewhere find them too. A copy that is cut
# short gets no name of a jar.
copy_jars() {
    local jar
    for jar in build/jars/*.jar; do
        cmp -s "$jar" "$1/${jar##*/}" && continue
        cp "$jar" "$1/.new"
        mv "$1/.new" "$1/${jar##*/}"
    done
}

# A convenience: without it, commands start some seconds later.
archive_classes() {
    logged classes .venv/bin/python scripts/class_archive.py || say "    left out (see $logs/classes.log)"
}

mkdir -p "$logs"
exec 9>build/.setup.lock
flock -n 9 || { say "==> waiting for another set-up of this checkout" && flock 9; }

python=$(find_python)
home=$(home_of "$python")
key=$(printf '%s' "$home" | cat - setup.cfg pyproject.toml constraints.txt | sha256sum)
is_done "$stamp" "$key" || need_venv_module
scripts/java.sh
step "$stamp" "$key" "$packages" install_packages
step build/jars/.done "$(sha256sum <scripts/fetch_jars.py)" "fetching Delta's jars through Ivy (about 10 s, 10 MB)" fetch_jars
jars=$(.venv/bin/python -c 'import pyspark; print(pyspark.__path__[0])')/jars
copy_jars "$jars"
[ ! -e build/java ] || export JAVA_HOME=$PWD/build/java
key=$(cat scripts/class_archive.py constraints.txt <("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1) | sha256sum)
step "$jars/.speechlake.jsa" "$key" "writing down Java's classes, so that commands start sooner (about 30 s, 200 MB)" archive_classes
# Last, because jobs run without it, also where Debian packages cannot be had.
if [ -n "$speech" ]; then
    step build/speech/.done "$(sha256sum <scripts/fetch_speech.sh)" "fetching speech of six voices from Debian packages (about 10 s, 100 MB)" scripts/fetch_speech.sh
fi
