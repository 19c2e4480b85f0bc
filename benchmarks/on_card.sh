#!/usr/bin/env bash
# Everything that wants a card, meant to take less than 8 minutes: the tests marked gpu, the query beside the plain way, training steps,
# and many trajectories that share the card. `--device cpu` runs the same at small sizes, to try the script itself.
#     bash benchmarks/on_card.sh [--device cpu]
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" WANDB_MODE=disabled PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
device=cuda
[ "${1:-}" = --device ] && device=$2
failed=0

part() { # TITLE COMMAND...: its output, its seconds, and whether it failed
    echo "== $1"
    local began=$SECONDS
    shift
    "$@" || { echo "FAILED ($?): $*"; failed=1; }
    echo "-- $((SECONDS - began)) s"
}

"$python" - <<'PY'
import platform, ray, torch

card = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU"
print(f"{card}; torch {torch.__version__}, CUDA {torch.version.cuda}, Ray {ray.__version__}")
PY
if [ "$device" = cpu ]; then
    part "tests marked gpu" "$python" -m pytest -q -m gpu tests/cuda
    part "query" "$python" benchmarks/query.py --device cpu --only hippocampus --members 2
    part "training" "$python" benchmarks/training.py --only cpu --rounds 1 --skip-compile
    part "sharing" "$python" benchmarks/sharing.py --device cpu --at-once 1 2 --epochs 1
else
    # Without the volume of stride 1, whose plain way takes minutes.
    part "tests marked gpu" "$python" -m pytest -q -m gpu tests/cuda
    part "sharing, small networks" "$python" benchmarks/sharing.py --at-once 1 8 --epochs 4
    part "training" "$python" benchmarks/training.py --only cuda --rounds 3
    part "query" "$python" benchmarks/query.py --device cuda --quick
fi
echo "== $SECONDS s in all"
exit $failed
