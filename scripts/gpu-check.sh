#!/usr/bin/env bash
# Checks a build of vitbench on a machine with a GPU, part by part. It needs the program and this repository, but no network.
#
#     bash scripts/gpu-check.sh --binary target/release/vitbench --out DIR [--device cuda] [--part NAME]...
#
# Parts: devices, parity, quick, speed, resume; all of them by default. The output of a part goes to DIR/PART.log.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

binary='' out='' device=cuda parts=()
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --binary) binary=$(realpath "$2") ;;
        --out) out=$2 ;;
        --device) device=$2 ;;
        --part) parts+=("$2") ;;
        *) usage ;;
    esac
    shift 2
done
if [ ! -x "$binary" ] || [ -z "$out" ]; then usage; fi
[ ${#parts[@]} -gt 0 ] || parts=(devices parity quick speed resume)
mkdir -p "$out"
out=$(realpath "$out")

# Lists the devices that this build can use, and how fast they multiply matrices.
devices() {
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || true
    "$binary" devices --peak
}

# Compares every recorded tensor of the PyTorch models with the device's.
parity() {
    "$binary" parity harness/tests/fixtures/*.safetensors --device "$device"
}

# Runs the README's first command.
quick() {
    "$binary" run configs/quick.toml --device "$device" --out "$out/quick"
}

# Measures speed and memory of the models at their well-known sizes.
speed() {
    "$binary" time configs/speed.toml --device "$device" --format csv | tee "$out/speed.csv"
}

# Checks that a run that is stopped and resumed has the same records as one that is not: on the CPU to the last bit. For the GPU it
# only prints the losses side by side, because a GPU's kernels are chosen by timing.
resume() {
    local settings=(--set data.train_limit=1000 --set train.epochs=4 --set train.schedule.warmup_epochs=1
        --set measure.min_seconds=0.2) on
    for on in flex "$device"; do
        "$binary" run configs/quick.toml --device "$on" "${settings[@]}" --out "$out/whole-$on"
        timeout --signal=TERM 6 "$binary" run configs/quick.toml --device "$on" "${settings[@]}" --out "$out/resumed-$on" ||
            echo "stopped with exit code $?"
        "$binary" run configs/quick.toml --device "$on" "${settings[@]}" --out "$out/resumed-$on"
        for epochs in "$out/whole-$on"/runs/*/epochs.csv; do
            echo "$on $(basename "$(dirname "$epochs")"): epoch, training loss, evaluation loss; whole, then resumed"
            paste <(cut -d, -f2,4,7 "$epochs") <(cut -d, -f2,4,7 "${epochs/whole-/resumed-}")
        done
    done
    diff <(cat "$out"/whole-flex/runs/*/epochs.csv | cut -d, -f1-11) <(cat "$out"/resumed-flex/runs/*/epochs.csv | cut -d, -f1-11) &&
        echo "flex: the same losses, to the last bit"
}

failed=0
for part in "${parts[@]}"; do
    case $part in
        devices | parity | quick | speed | resume) ;;
        *) usage ;;
    esac
    started=$SECONDS
    printf '== %s\n' "$part"
    # Not the condition of an `if`, where `set -e` would have no effect.
    set +e
    (set -e; "$part") >"$out/$part.log" 2>&1
    status=$?
    set -e
    [ $status -eq 0 ] || failed=1
    tail -n 40 "$out/$part.log"
    printf '== %s: exit code %d, %d s\n' "$part" $status $((SECONDS - started))
done
exit $failed
