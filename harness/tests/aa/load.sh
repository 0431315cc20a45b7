#!/usr/bin/env bash
# Burns one core in random on-off intervals of 0.2 to 3 s, until it is killed or the process $1 ends.
set -euo pipefail
while [ -z "${1:-}" ] || kill -0 "$1" 2>/dev/null; do
    end=$((${EPOCHREALTIME/./} + 200000 + RANDOM % 29 * 100000))
    while [ "${EPOCHREALTIME/./}" -lt "$end" ]; do :; done
    sleep "$((RANDOM % 3)).$((RANDOM % 8 + 2))"
done
