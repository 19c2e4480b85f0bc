#!/usr/bin/env bash
# The study of docs/study.md, from nothing to its tables and figures. Every step goes on where it was broken off, so that
# the same command may be given again and again; with all done it draws the reports and figures anew, in some minutes.
# What fails in one step is told, and the others are made.
#
#   bash analysis/study.sh [BIN]      BIN: where alsweep and python are, default .venv/bin
#
# About three hours on two cores. MAKER makes the NIfTI files of the brain; without it that part is left out.
set -uo pipefail
bin=$(realpath "${1:-$(dirname "$0")/../.venv/bin}")
maker=$(realpath "${MAKER:-$(dirname "$0")/../../shared/data/make_brain_tissue.py}")
cd "$(dirname "$0")/.." || exit 2
export OMP_NUM_THREADS=1 WANDB_MODE=disabled
failed=0

step() { # a command, which is told, and whose failure does not end the others
    echo "== $(date +%H:%M) $*"
    "$@" && return
    local code=$?
    [ $code -ne 130 ] || exit 130 # Ctrl-C means all of it
    failed=1
    echo "warning: that ended with exit code $code" >&2
}
phantom() { # NAME, and what makes it difficult
    [ -e "data/study-$1" ] || step "$bin/alsweep" phantom --out "data/study-$1" --name "$1" --shape 28 28 28 "${@:2}"
}
brain() {
    raw=$(mktemp -d)
    step "$bin/python" "$maker" "$raw" --cases 8 --spacing 4.0
    step "$bin/alsweep" ingest "$raw/Dataset010_BrainTissue" --out data/study-brain
    rm -rf "$raw"
}
keep() { # a report, and which of its files go to docs/study, under a name that begins with its own
    for name in "${@:2}"; do cp "runs/study-report-$1/$name" "docs/study/$1-$name" || failed=1; done
}
ask() { # a file of analysis/, what its figure and text are called, and runs with options
    step "$bin/python" "analysis/$1" "${@:3}" --out "docs/study/$2.png"
}

phantom easy --cases 16 --noise 0.06 --lesion-share 0.015
phantom medium --cases 16 --noise 0.09 --lesion-share 0.01
phantom hard --cases 32 --noise 0.12 --lesion-share 0.006
studies=(runs/study-main)
[ -e data/study-brain ] || [ ! -e "$maker" ] || brain
if [ -e data/study-brain ]; then
    studies+=(runs/study-brain)
else
    echo "warning: $maker is not there; the part on brain tissue is left out" >&2
fi

for name in "${studies[@]##*/}"; do
    step "$bin/alsweep" run "search_spaces/$name.yaml"
    step "$bin/alsweep" fulldata "search_spaces/$name.yaml"
    step "$bin/alsweep" noise "search_spaces/$name.yaml" --repeats 3
done
step "$bin/alsweep" run search_spaces/study-annotators.yaml
step "$bin/alsweep" run search_spaces/study-search.yaml
best=runs/study-search/search/best.yaml
step "$bin/alsweep" run "$best" --out runs/study-found --set name=study-found --set 'seeds=[2, 3, 4]'
step "$bin/alsweep" run "$best" --out runs/study-found-medium --set name=study-found-medium \
    --set dataset=data/study-medium --set 'seeds=[0, 1, 2, 3, 4]'
step "$bin/alsweep" run search_spaces/study-compute.yaml

found=(runs/study-main runs/study-found runs/study-found-medium)
step "$bin/alsweep" report "${studies[@]}" --out runs/study-report-main
step "$bin/alsweep" report "${found[@]}" --out runs/study-report-found
step "$bin/alsweep" report runs/study-main --out runs/study-report-phantoms
for name in annotators compute search; do
    step "$bin/alsweep" report "runs/study-$name" --out "runs/study-report-$name"
done
mkdir -p docs/study
keep main headline.txt comparisons.csv table_comparisons.md ranking.csv win_matrix_holm.csv savings.csv table_classes.md index.html
keep phantoms headline.txt over_settings.csv
keep compute table_comparisons.md
keep annotators table_comparisons.md
keep search search.csv
for control in random random_fg33 random_fg66; do
    ask 02_does_al_beat_foreground_random.py "a-$control" "${studies[@]}" --control "$control"
done
ask 03_which_budgets.py b-budgets "${studies[@]}"
ask 04_does_patch_size_matter.py b-patches runs/study-main
ask 02_does_al_beat_foreground_random.py c "${studies[@]}" --control predictive_entropy
ask 07_what_does_it_cost_a_person.py c-effort runs/study-main
ask 05_do_hours_pay.py d-hours runs/study-compute
ask 08_what_do_options_add.py d runs/study-compute
ask 02_does_al_beat_foreground_random.py f "${found[@]}" --control clasp_pe
ask 08_what_do_options_add.py g runs/study-annotators
ask 06_how_much_is_noise.py h "${studies[@]}"
ask 10_what_is_spared.py spared "${studies[@]}"
ask 09_labels_or_training.py labels runs/study-main
rm -f runs/study-main-paper.tar.gz # made anew, since more seeds may have come
step "$bin/alsweep" export runs/study-main --paper --out runs/study-main-paper.tar.gz
exit $failed
