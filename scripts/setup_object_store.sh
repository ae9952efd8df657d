#!/usr/bin/env bash
# Sets up what `make object-store-test` needs beside `make setup`, in build/s3; what is done already is skipped.
#   venv/  an S3 server, moto, with what it requires, apart from speechlake's own packages
#   jars/  Hadoop's S3 connector with the parts of the AWS SDK that it needs
# Why moto: of the S3 servers that the package registries hold it is the best kept (released every month since
# 2013, Apache-2.0), one pip install, and it does what Delta and s3a ask for: multipart uploads and copies, bulk
# deletes, listing that shows a put at once, conditional puts, signatures that are checked. MinIO, Garage and
# SeaweedFS are in no registry as servers; S3Mock and S3Proxy do the same as moto with a JVM more.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

install_server() {
    rm -rf build/s3/venv
    logged s3-server .venv/bin/python -m venv build/s3/venv &&
        logged s3-server build/s3/venv/bin/python -m pip install --disable-pip-version-check --no-deps -r scripts/s3-server.txt ||
        fail "pip could not install the S3 server (see $logs/s3-server.log): is the package index reachable from here?"
}

fetch_connector() {
    logged s3-jars .venv/bin/python scripts/fetch_jars.py build/s3/jars s3 ||
        fail "Ivy could not fetch the S3 connector (see $logs/s3-jars.log): is the jar registry reachable from here?"
}

mkdir -p "$logs" build/s3
exec 9>build/.setup-s3.lock
flock 9
step build/s3/venv/.done "$(cat scripts/s3-server.txt .venv/.home | sha256sum)" "installing an S3 server into build/s3/venv (about 15 s)" install_server
step build/s3/jars/.done "$(sha256sum <scripts/fetch_jars.py)" "fetching Hadoop's S3 connector through Ivy (about 15 s, 13 MB)" fetch_connector
