#!/bin/sh
# Tells Spark which NVIDIA devices a worker or an executor has, as the JSON that Spark's resource discovery reads:
#   {"name": "gpu", "addresses": ["0", "1"]}
# Named by spark.worker.resource.gpu.discoveryScript (standalone) or spark.executor.resource.gpu.discoveryScript
# (YARN, Kubernetes). Must be readable and executable by Spark's user, and writable by nobody else.
#
# Addresses are indices among the devices that this process sees: that is how CTranslate2 counts. Where a
# container or CUDA_VISIBLE_DEVICES shows only some, nvidia-smi still lists all outside of containers, so the
# variable is asked first; what it names is counted, from 0, as CUDA does.
set -eu

# said COUNT: the JSON for devices 0 to COUNT - 1.
said() {
    printf '{"name": "gpu", "addresses": ['
    n=0
    while [ "$n" -lt "$1" ]; do
        [ "$n" -eq 0 ] || printf ', '
        printf '"%s"' "$n"
        n=$((n + 1))
    done
    printf ']}\n'
}

if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    # Empty, or a list that begins with -1, hides all.
    case $CUDA_VISIBLE_DEVICES in
        '' | -1*) said 0 ;;
        *) said "$(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | grep -c .)" ;;
    esac
    exit
fi
command -v nvidia-smi >/dev/null || {
    echo "gpus.sh: no nvidia-smi on this machine: no driver, or not in this container" >&2
    exit 1
}
devices=$(nvidia-smi --query-gpu=index --format=csv,noheader) || {
    echo "gpus.sh: nvidia-smi failed: $devices" >&2
    exit 1
}
said "$(printf '%s\n' "$devices" | grep -c '^[0-9]')"
