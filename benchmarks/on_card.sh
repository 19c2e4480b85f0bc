#!/usr/bin/env bash
# Everything that wants a card, meant to take less than 8 minutes: the tests marked gpu, the query beside the plain way, training
# steps, trajectories that share the card, where the seconds of a loop go, and cases in slabs. At the end a table of the parts
# with the card's name and the versions. `--device cpu` runs the same at small sizes, to try the script itself.
#     bash benchmarks/on_card.sh [--device cpu]
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" WANDB_MODE=disabled PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
device=cuda
[ "${1:-}" = --device ] && device=$2
failed=0
said=$(mktemp)
trap 'rm -f "$said"' EXIT
table=()

part() { # TITLE COMMAND...: its output, its seconds, and whether it failed; both and its last line go into the table
    local title=$1 began=$SECONDS ended=ok
    echo "== $title"
    shift
    "$@" 2>&1 | tee "$said" || { ended="FAILED"; failed=1; echo "FAILED: $*"; }
    table+=("$(printf '%-28s %5d s  %-6s  %s' "$title" $((SECONDS - began)) "$ended" "$(tail -n 1 "$said")")")
}

if [ "$device" = cpu ]; then
    # The card's tests are only collected, which shows that they can be imported.
    part "tests marked gpu" "$python" -m pytest -q -p no:cacheprovider -m gpu tests/cuda
    part "query" "$python" benchmarks/query.py --device cpu --only hippocampus --members 2 --rounds 1
    part "training" "$python" benchmarks/training.py --only cpu --rounds 1 --skip-compile --iterations 4
    part "slabs" "$python" benchmarks/slabs.py --device cpu --shape 48 40 40 --classes 12 --window 16 --gib 0.01 0.0075
    part "loop" "$python" benchmarks/loop.py --device cpu --epochs 1 --iterations 4 --cases 8 --size 32
    part "sharing" "$python" benchmarks/sharing.py --device cpu --at-once 1 --epochs 1 --iterations 4
else
    part "tests marked gpu" "$python" -m pytest -q -m gpu tests/cuda
    part "query" "$python" benchmarks/query.py --device cuda --rounds 4
    part "training" "$python" benchmarks/training.py --only cuda --rounds 3
    part "slabs" "$python" benchmarks/slabs.py --device cuda
    part "loop, small networks" "$python" benchmarks/loop.py --epochs 4
    part "sharing, small networks" "$python" benchmarks/sharing.py --at-once 1 8 16 --epochs 4
fi

echo
"$python" - <<'PY'
import platform, monai, ray, torch

card = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU"
versions = f"Python {platform.python_version()}, torch {torch.__version__}, CUDA {torch.version.cuda}"
print(f"{card}; {versions}, cuDNN {torch.backends.cudnn.version()}, MONAI {monai.__version__}, Ray {ray.__version__}")
PY
printf '%s\n' "${table[@]}"
echo "$SECONDS s in all"
exit $failed
