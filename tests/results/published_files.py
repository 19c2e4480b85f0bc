"""Results as nnActive and its authors leave them, with numbers that they have published."""

from pathlib import Path

from alsweep.files import write_json

SETTING = "patch-64_64_64__sb-random-label2-all-classes__sbs-200__qs-200"
FINAL = {"random": 0.4841, "random-label": 0.5167, "power_pe": 0.5867, "pred_entropy": 0.6539}
"""KiTS, medium label regime: mean Dice after the last loop."""

FG_EFF = {"pred_entropy": (6.20, 0.09), "power_pe": (9.69, 0.25)}
"""Rates of the paper; the second number is a variance, as nnActive has it under beta_std."""

AMOS = "patch-32_74_74__sb-random-label2-all-classes__sbs-40__qs-40"
LOOP_0 = {
    ("power_bald", 12345): 0.4429,
    ("pred_entropy", 12345): 0.4489,
    ("power_bald", 12346): 0.4642,
    ("pred_entropy", 12346): 0.4725,
    ("power_pe", 12347): 0.4718,
    ("softrank_bald", 12347): 0.4705,
}


def write_analysis(folder: Path, setting: str = SETTING, final: dict[str, float] = FINAL) -> Path:
    """Write FOLDER/analysis/SETTING as pandas wrote it; two strategies won something."""
    place = folder / "analysis" / setting
    auc = {}
    for metric, shift in (("Mean Dice AUBC", -0.05), ("Mean Dice Final", 0.0), ("Class 1 AUBC", 0)):
        auc[f"('{metric}', 'mean')"] = {name: value + shift for name, value in final.items()}
        auc[f"('{metric}', 'std')"] = dict.fromkeys(final, 0.0125) | {"random": None}
        auc[f"('{metric}', 'count')"] = dict.fromkeys(final, 4) | {"random": 1}
    write_json(place / "auc.json", auc)
    names, values = zip(*FG_EFF.items(), strict=True)
    beta = {
        "Query Method": {str(i): name for i, name in enumerate(names)},
        "beta": {str(i): rate for i, (rate, _) in enumerate(values)},
        "beta_std": {str(i): variance for i, (_, variance) in enumerate(values)},
    }
    write_json(place / "beta.json", beta)
    # The row is worse than the column: random loses to pred_entropy at 3 of 5 budgets.
    matrix = {a: dict.fromkeys(final, 0.0) for a in final}
    matrix["random"] |= {"pred_entropy": 1.2, "power_pe": 0.4}
    compute = {"skip_first": False}
    ppm = {"matrix": matrix, "alpha": 0.05, "max_pos_ent": 2, "compute_kwargs": compute}
    write_json(place / "ppm.json", ppm)
    # Whoever reads it runs it: this one would end the process.
    (place / "analysis.pkl").write_bytes(b"cos\n_exit\n(I3\ntR.")
    return place


def write_experiments(folder: Path, setting: str = AMOS, dataset: str = "Dataset216_AMOS") -> Path:
    """Write FOLDER/nnActive_results with configs old and new; the curves rise by 0.05 a loop."""
    results = folder / "nnActive_results"
    for index, ((strategy, seed), dice) in enumerate(LOOP_0.items()):
        place = results / f"{dataset}__{setting}__unc-{strategy}__seed-{seed}"
        config = {"uncertainty": strategy, "seed": seed, "query_size": 40}
        if index % 2:
            config |= {"pre_suffix": f"__{setting}", "queries_from_experiment": None}
        write_json(place / "config.json", {} if index == 0 else config)
        write_json(place / "state.json", {"dataset_id": 1000 + index, "loop": 2, "pred_tr": False})
        for loop in range(4):
            write_experiment_loop(place, loop, dice + 0.05 * loop)
    return results


def write_experiment_loop(place: Path, loop: int, dice: float) -> None:
    summary = {"foreground_mean": {"Dice": dice, "IoU": dice / 2}, "mean": {"1": {"Dice": dice}}}
    write_json(place / f"loop_{loop:03d}" / "summary.json", summary)
    write_json(place / f"loop_{loop:03d}" / "summary_cross_val.json", {"foreground_mean": {}})
