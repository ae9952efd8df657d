#!/usr/bin/env bash
# Runs a master or a worker of a standalone cluster in the foreground, out of the pip package of PySpark, which
# has no sbin. For systemd, a container, or a test: whoever starts it restarts it.
#
#   scripts/cluster/standalone.sh master HOST [PORT]
#   scripts/cluster/standalone.sh worker MASTER-URL HOST [OPTION-OF-WORKER...]
#
# PYTHON is the interpreter whose PySpark is run (default .venv/bin/python). GPU_DISCOVERY names a discovery
# script (scripts/cluster/gpus.sh): the worker then offers the devices that it lists, under the resource `gpu`.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}

fail() {
    printf 'standalone.sh: %s\n' "$1" >&2
    exit 2
}

SPARK_HOME=$("$python" -c 'import pyspark; print(pyspark.__path__[0])') || fail "$python has no pyspark: run make setup, or set PYTHON"
export SPARK_HOME
# A daemon hands out work and holds no data.
export SPARK_DAEMON_MEMORY=${SPARK_DAEMON_MEMORY:-512m}
web=${WEBUI_PORT:-0}

case ${1:-} in
    master)
        [ $# -ge 2 ] || fail "usage: standalone.sh master HOST [PORT]"
        # Its pages tell what runs and with which arguments: on this address, not on all that the machine has.
        export SPARK_LOCAL_IP=$2
        # Whoever reaches it may run programs here, and nobody of ours submits that way.
        export SPARK_MASTER_OPTS="${SPARK_MASTER_OPTS:-} -Dspark.master.rest.enabled=false"
        exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master \
            --host "$2" --port "${3:-7077}" --webui-port "$web"
        ;;
    worker)
        [ $# -ge 3 ] || fail "usage: standalone.sh worker MASTER-URL HOST [OPTION-OF-WORKER...]"
        if [ -n "${GPU_DISCOVERY:-}" ]; then
            count=$("$GPU_DISCOVERY" | "$python" -c 'import json, sys; print(len(json.load(sys.stdin)["addresses"]))') ||
                fail "$GPU_DISCOVERY does not tell which devices there are"
            # Spark asks the script again, and refuses to start where it lists fewer than the amount.
            [ "$count" = 0 ] || export SPARK_WORKER_OPTS="${SPARK_WORKER_OPTS:-} -Dspark.worker.resource.gpu.amount=$count -Dspark.worker.resource.gpu.discoveryScript=$GPU_DISCOVERY"
        fi
        master=$2 host=$3
        export SPARK_LOCAL_IP=$host
        shift 3
        exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker \
            --host "$host" --webui-port "$web" "$@" "$master"
        ;;
    *) fail "usage: standalone.sh master|worker …" ;;
esac
