#!/usr/bin/env bash
# Finds a Java that Spark 4.2 runs on, else installs one by apt. Where it is not the Java that a shell here
# would run, build/java points to it, and the Makefile sets JAVA_HOME.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

# Spark 4.2 is tested on 17 and 21; from 24 on, Java lacks the security manager that Hadoop asks for.
fits() {
    local major
    major=$("$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || return 1
    [ "${major:-0}" -ge 17 ] && [ "$major" -le 21 ]
}

# link_java: points build/java to a fitting Java that is installed but not the default one.
link_java() {
    local java
    for java in /usr/lib/jvm/*/bin/java; do
        if [ -x "$java" ] && fits "$java"; then
            ln -sfn "$(dirname "$(dirname "$java")")" build/java
            return
        fi
    done
    return 1
}

default=java
[ -z "${JAVA_HOME:-}" ] || default=$JAVA_HOME/bin/java
mkdir -p "$logs"
if fits "$default"; then
    rm -f build/java
    exit
fi
[ -e build/java ] && fits build/java/bin/java && exit
found=$("$default" -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/Java \1/p' | head -n 1) || true
if ! link_java; then
    can_apt || fail "needs Java 17 to 21, found ${found:-none}: as root, apt-get install openjdk-17-jre-headless, or set JAVA_HOME"
    say "==> installing a headless Java 17 by apt (about 30 s, 80 MB)"
    apt_install openjdk-17-jre-headless || apt_install openjdk-21-jre-headless ||
        fail "apt could not install openjdk-17-jre-headless (see $logs/apt.log): is there a network? Or set JAVA_HOME to a Java 17"
    fits "$default" || link_java || fail "Java was installed, but is not in /usr/lib/jvm: set JAVA_HOME to it"
fi
[ ! -e build/java ] || fits "$default" || say "    using $(readlink build/java); outside of make, export JAVA_HOME=$PWD/build/java"
