#!/usr/bin/env bash
# Sets up .venv-airflow, the environment of Airflow and of the DAGs in airflow_dags/; what is done is skipped.
#
#   scripts/airflow.sh [--test [--browser]]
#
# --test: pytest and mypy too. --browser: a Chromium for pictures, by apt where that needs no password. Needs the
# .venv of scripts/setup.sh, whose Python it takes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=.venv-airflow dags=airflow_dags stamp=.packages requirements=requirements.txt
if [ "${1:-}" = --test ]; then
    stamp=.packages-test requirements=requirements-test.txt
fi

# Airflow publishes constraints of its own elsewhere; ours are what these requirements resolved to when they were
# last raised, so that an installation needs the package index alone.
install_airflow() {
    need_space 3 "Airflow's packages"
    # An environment whose filling was interrupted may hold packages that pip takes for complete.
    if [ ! -e "$venv/.packages" ] || ! is_done "$venv/.home" "$home"; then
        rm -rf "$venv"
        logged venv-airflow .venv/bin/python -m venv "$venv" ||
            fail "no virtual environment could be made in $venv (see $logs/venv-airflow.log)"
        printf '%s\n' "$home" >"$venv/.home"
    fi
    rm -f "$venv"/.packages*
    logged pip-airflow "$venv/bin/python" -m pip install --disable-pip-version-check \
        -c "$dags/constraints.txt" -r "$dags/$requirements" ||
        fail "pip could not install Airflow (see $logs/pip-airflow.log): is the package index reachable from here?"
    # The larger set holds the smaller one.
    printf '%s\n' "$key" >"$venv/.packages"
}

have_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

mkdir -p "$logs"
exec 9>build/.airflow.lock
flock -n 9 || { say "==> waiting for another set-up of Airflow in this checkout" && flock 9; }

[ -x .venv/bin/python ] || fail "the environment of speechlake is missing: make setup"
home=$(home_of .venv/bin/python)
key=$(printf '%s' "$home" | cat - "$dags"/requirements*.txt "$dags/constraints.txt" | sha256sum)
step "$venv/$stamp" "$key" "installing Airflow and its Spark provider into $venv (about 3 minutes, 898 MB)" install_airflow

if [ "${2:-}" = --browser ] && ! have_browser >/dev/null; then
    if can_apt; then
        say "==> installing Chromium by apt (about 1 minute, 400 MB)"
        apt_install chromium || say "    apt could not (see $logs/apt.log): no picture is taken"
    else
        say "==> no Chromium here, and apt needs a password: no picture is taken"
    fi
fi
