#!/usr/bin/env bash
# Brings real speech for the demo and the tests from Debian packages into build/speech:
#   <voice>/<id>.wav     prompts of a telephone exchange, 8 kHz, six voices
#   texts/<language>.txt what the first five say, lines `id: text`
#   copyright/<package>  CC BY-SA 3.0 and CC BY 3.0, with names
# Needs apt-get and a network, no root. Nothing of it is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

work=$PWD/build/speech.new
packages=(asterisk-prompt-it-menardi-wav)
for language in en es fr it ru; do
    packages+=("asterisk-core-sounds-$language" "asterisk-core-sounds-$language-wav")
done

# Without the sandbox option apt warns when root downloads into a folder that its own user cannot write.
download() { (cd "$work/debs" && logged speech apt-get download -q -o APT::Sandbox::User="$(id -un)" "$@" "${packages[@]}"); }

# Package lists of our own: a bare machine has none, an old one has stale ones, and updating the system's
# needs root.
download_with_own_lists() {
    local own=(-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)")
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    logged speech apt-get update -q "${own[@]}" && download "${own[@]}"
}

command -v apt-get >/dev/null ||
    fail "the demo's speech comes from Debian packages and apt-get is missing: copy build/speech from a Debian machine"
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$logs" "$work/debs" "$work/x" "$work/speech/texts" "$work/speech/copyright"
logs=$PWD/$logs
download || download_with_own_lists ||
    fail "apt-get could not download the demo's speech (see build/logs/speech.log): is the package mirror reachable from here?"
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/x"; done
mv "$work"/x/usr/share/asterisk/sounds/??_??_?_* "$work/speech/"
for language in en es fr it ru; do
    gunzip -c "$work/x/usr/share/doc/asterisk-core-sounds-$language/core-sounds-$language.txt.gz" >"$work/speech/texts/$language.txt"
done
for package in "${packages[@]}"; do
    cp "$work/x/usr/share/doc/$package/copyright" "$work/speech/copyright/$package"
done
rm -rf build/speech
mv "$work/speech" build/speech
