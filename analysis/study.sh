#!/usr/bin/env bash
# The study of docs/study.md, from nothing to its tables and figures. Every step goes on where it was broken off, so that
# the same command may be given again and again; with all done it draws the report and the figures anew, in a few minutes.
#
#   bash analysis/study.sh [BIN]      BIN: where alsweep and python are, default .venv/bin
#
# About HOURS hours on two cores. MAKER makes the NIfTI files of the brain; where it is not there, that part is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
maker=${MAKER:-../shared/data/make_brain_tissue.py}
export OMP_NUM_THREADS=1 WANDB_MODE=disabled

phantom() { # NAME, and what makes it difficult
    [ -e "data/study-$1" ] || "$bin/alsweep" phantom --out "data/study-$1" --name "$1" --shape 28 28 28 "${@:2}"
}
run() { # SPACE, and options; the folder is that of its name
    echo "== $1: $(date +%H:%M)"
    "$bin/alsweep" run "$@"
}
ask() { # a file of analysis/, a figure, and runs
    "$bin/python" "analysis/$1" "${@:3}" --out "docs/study/$2"
}

phantom easy --cases 16 --noise 0.06 --lesion-share 0.015
phantom medium --cases 16 --noise 0.09 --lesion-share 0.01
phantom hard --cases 32 --noise 0.12 --lesion-share 0.006
studies=(runs/study-main)
if [ -e "data/study-brain" ] || [ -e "$maker" ]; then
    studies+=(runs/study-brain)
    if [ ! -e data/study-brain ]; then
        raw=$(mktemp -d)
        "$bin/python" "$maker" "$raw" --cases 8 --spacing 4.0
        "$bin/alsweep" ingest "$raw/Dataset010_BrainTissue" --out data/study-brain
        rm -rf "$raw"
    fi
else
    echo "warning: $maker is not there; the part on brain tissue is left out" >&2
fi

for name in "${studies[@]##*/}"; do
    run "search_spaces/$name.yaml"
    "$bin/alsweep" fulldata "search_spaces/$name.yaml"
    "$bin/alsweep" noise "search_spaces/$name.yaml" --repeats 3
done
run search_spaces/study-annotators.yaml
run search_spaces/study-search.yaml
best=runs/study-search/search/best.yaml
run "$best" --out runs/study-found --set name=study-found --set 'seeds=[2, 3, 4]'
run "$best" --out runs/study-found-medium --set name=study-found-medium --set dataset=data/study-medium \
    --set 'seeds=[0, 1, 2, 3, 4]'
run search_spaces/study-compute.yaml

"$bin/alsweep" report "${studies[@]}" --out runs/study-report
for name in annotators compute search; do "$bin/alsweep" report "runs/study-$name" --out "runs/study-report-$name"; done
"$bin/alsweep" report runs/study-main runs/study-found runs/study-found-medium --out runs/study-report-found
mkdir -p docs/study
for name in headline.txt comparisons.csv ranking.csv win_matrix_holm.csv savings.csv; do
    cp "runs/study-report/$name" "docs/study/$name"
done
for name in annotators compute found; do
    cp "runs/study-report-$name/comparisons.csv" "docs/study/comparisons-$name.csv"
done
ask 02_does_al_beat_foreground_random.py a.png "${studies[@]}"
ask 03_which_budgets.py b-budgets.png "${studies[@]}"
ask 04_does_patch_size_matter.py b-patches.png runs/study-main
ask 07_what_does_it_cost_a_person.py c.png "${studies[@]}"
ask 05_do_hours_pay.py d-hours.png runs/study-compute
ask 08_what_do_options_add.py d.png runs/study-compute
ask 08_what_do_options_add.py g.png runs/study-annotators
ask 06_how_much_is_noise.py h.png "${studies[@]}"
