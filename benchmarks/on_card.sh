#!/usr/bin/env bash
# Everything that wants a card, in less than 8 minutes: the tests marked gpu, training steps, the query beside the plain way,
# trajectories that share the card, where the seconds of a loop go, cases in slabs, and what `gpus: auto` proposes. At the end a
# table of the parts with the card's name and the versions: what each says in lines that begin with "summary:", the query all of
# its lines of figures, the tests their last one.
# A part that takes too long is ended, so that the rest is still measured; so is all of it after $LIMIT seconds.
# `--device cpu` runs the same at small sizes, to try the script itself.
#     [LIMIT=470] [PYTHON=python3] bash benchmarks/on_card.sh [--device cpu]
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" WANDB_MODE=disabled PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
device=cuda
[ "${1:-}" = --device ] && device=$2
limit=${LIMIT:-$([ "$device" = cpu ] && echo 3600 || echo 470)}
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
said=$scratch/said
table=()
figures='^(.*, ms: plain = |case  +|(hippocampus|ACDC|KiTS|AMOS|stride 1) .*\/.*\/)'

row() { # TITLE SECONDS ENDED TEXT
    table+=("$(printf '%-24s %5s s  %-9s %s' "$1" "$2" "$3" "$4")")
}

part() { # MOST_SECONDS TITLE COMMAND...: its output, its seconds, how it ended; into the table what it says at the end
    local most=$1 title=$2 began=$SECONDS left=$((limit - SECONDS)) ended=ok status line lines
    shift 2
    if [ "$left" -lt 10 ]; then
        failed=1
        row "$title" 0 "NOT BEGUN" "the time was up"
        return
    fi
    echo "== $title"
    timeout -k 5 $((most < left ? most : left)) "$@" 2>&1 | tee "$said"
    status=${PIPESTATUS[0]}
    [ "$status" = 0 ] || { failed=1 && ended=FAILED && echo "FAILED: $*"; }
    [ "$status" = 124 ] && ended="TOO LONG"
    # The query's lines of figures are rows as they are: its parts and limits by case and strategy.
    mapfile -t lines < <(sed -nE -e 's/^summary: //p' -e "/$figures/p" "$said")
    [ ${#lines[@]} -gt 0 ] || lines=("$(tail -n 1 "$said")")
    row "$title" $((SECONDS - began)) "$ended" "${lines[0]}"
    for line in "${lines[@]:1}"; do table+=("$(printf '%-42s %s' '' "$line")"); done
}

auto() { # what a dry run of a sweep of small networks with `gpus: auto` says of the card
    set -o pipefail
    "$python" -m alsweep phantom --out "$scratch/data" --cases 8 --shape 48 48 48 &&
        "$python" -m alsweep run search_spaces/phantom-cold-starts.yaml --out "$scratch/run" --set "dataset=$scratch/data" \
            --set resources.gpus=auto --set "base.training.features=[8, 16, 32]" --dry-run 2>&1 |
        sed 's/^resources.gpus: auto: /summary: &/'
}
export -f auto
export python scratch

if [ "$device" = cpu ]; then
    # The card's tests are only collected, which shows that they can be imported.
    part 600 "tests marked gpu" "$python" -m pytest -q -p no:cacheprovider -m gpu tests/cuda
    part 600 "training" "$python" benchmarks/training.py --only cpu --rounds 2 --skip-compile --iterations 4
    part 600 "query" "$python" benchmarks/query.py --device cpu --only hippocampus --members 2 --rounds 1 --walk 1
    part 600 "sharing, small networks" "$python" benchmarks/sharing.py --device cpu --at-once 1 2 --epochs 1 --iterations 4 \
        --cases 6 --size 32
    part 600 "loop, small networks" "$python" benchmarks/loop.py --device cpu --epochs 1 --iterations 4 --cases 8 --size 32
    part 600 "slabs" "$python" benchmarks/slabs.py --device cpu --shape 48 40 40 --classes 12 --window 16 --gib 0.01 0.0075
    part 600 "gpus: auto" bash -c auto
else
    beside=()
    "$python" -c "import xdist" 2> /dev/null && beside=(-n 6)
    part 120 "tests marked gpu" "$python" -m pytest -q -p no:cacheprovider "${beside[@]}" -m gpu tests/cuda
    part 170 "training" "$python" benchmarks/training.py --only cuda --rounds 2
    part 80 "query" "$python" benchmarks/query.py --device cuda --rounds 2 --walk 2
    part 90 "sharing, small networks" "$python" benchmarks/sharing.py --epochs 1
    part 60 "loop, small networks" "$python" benchmarks/loop.py --epochs 4
    part 60 "slabs" "$python" benchmarks/slabs.py
    part 100 "gpus: auto" bash -c auto
    part 90 "sharing, nnU-Net's size" "$python" benchmarks/sharing.py --at-once 1 2 4 --epochs 1 --iterations 20 --cases 6 \
        --window 128 --size 128 --features 32 64 128 256 320 320
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
