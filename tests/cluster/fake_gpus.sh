#!/bin/sh
# A discovery script for tests: the addresses that the worker's FAKE_GPUS names, for devices that do not exist.
echo "{\"name\": \"gpu\", \"addresses\": [\"${FAKE_GPUS:-0}\"]}"
