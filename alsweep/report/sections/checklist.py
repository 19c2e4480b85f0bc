"""The reporting checklist: what a reader of a comparison has to be told, from the data."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from alsweep import __version__
from alsweep.config.option import NONE
from alsweep.config.trajectory import TrainingConfig, TrajectoryConfig
from alsweep.costs import cost_models
from alsweep.report.captions import (
    ALPHA,
    controls_of,
    count,
    known_numerics,
    notices,
    pretrained_text,
    seed_counts,
    taken_over,
    taken_over_text,
)
from alsweep.report.section import Block, Material, Section, Statements
from alsweep.report.strength import strength
from alsweep.report.study import Study
from alsweep.report.tables import percent
from alsweep.report.volumes import Opened
from alsweep.results.fulldata import mean_full_dice
from alsweep.results.loops import LoopRecord
from alsweep.results.mishaps import Counts, read_mishaps


def _blocks(material: Material) -> Iterator[Block]:
    # Each dataset once, in the order of the trajectories.
    yield Statements(_statements(material.study, dict.fromkeys(material.datasets.values())))


def _statements(study: Study, datasets: Iterable[Opened]) -> tuple[tuple[str, str], ...]:
    configs = study.configs()
    return (
        *_data(datasets),
        ("Budget", _each(configs, _budget)),
        ("Seeds", _seeds(study)),
        ("Starting budget", _start(study, configs)),
        ("Training", _each(configs, _training)),
        ("Ensemble and TTA", _each(configs, _inference)),
        ("Dice", _each(configs, _dice)),
        ("Oracle use", _oracle(study)),
        ("Loops in the tests", "All but loop 0, in tests and in the share of budgets."),
        ("Test", _test(study)),
        ("Intervals", _intervals(study)),
        ("Missing", " ".join(notices(study)) or "Nothing: every trajectory is finished."),
        *([("Where runs meet", " ".join(study.remarks))] if study.remarks else []),
        ("Full-data reference", _full_data(study)),
        ("Strength of the learner", strength(study)),
        ("Annotation cost", _annotation_cost(study)),
        ("Selection", _selection(study)),
        ("Compute", _compute(study.done)),
        ("Hardware", _hardware(study)),
        ("Interruptions", _interruptions(study)),
        ("Code", _code(study)),
        ("Licence of the data", "Not recorded in a Dataset; see its source."),
    )


def _test(study: Study) -> str:
    against = controls_of(study)
    first = (
        f"AUBC against {', '.join(against)} with Holm over the tests of a setting, equivalent "
        f"within ±{100 * study.asked.rope:g} Dice points; "
        if against
        else ""
    )
    return (
        f"Two-sided paired t-test by seed, level {ALPHA:g}; {first}"
        "win matrix uncorrected and with Holm."
    )


def _intervals(study: Study) -> str:
    if seed_counts(study).max() < 2:
        return "None: there is one seed only."
    return (
        "Bands ±1 standard deviation over seeds; differences from controls 95 % t, unadjusted; "
        "ranks 95 % bootstrap over seeds."
    )


def _annotation_cost(study: Study) -> str:
    """Which models count what was annotated, and which ones tell what people took."""
    known = {None, *study.table.columns[study.table.notna().any()]}
    models = [model for model in cost_models().values() if model.column in known]
    measured = [model.name for model in models if model.measured]
    return f"Counts by {', '.join(one.name for one in models if not one.measured)}; " + (
        f"measured of people: {', '.join(measured)}." if measured else "none is a measured time."
    )


def _selection(study: Study) -> str:
    tested = study.done["test_mean_dice"].notna().any()
    test = " The test part is reported beside it and decided nothing." if tested else ""
    return f"Dice on validation cases; strategies were not tuned by this run.{test}"


def _full_data(study: Study) -> str:
    if not study.references:
        return "None in this run; foreground efficiency is therefore not reported."
    parts = []
    for setting, records in study.references.items():
        wanted = study.done.loc[study.done["setting"] == setting, "seed"].nunique()
        where = f"{study.settings[setting]}: " if len(study.settings) > 1 else ""
        seeds = ", ".join(str(record.seed) for record in records)
        parts.append(
            f"{where}mean Dice {percent(mean_full_dice(records))} %, seeds {seeds} "
            f"(curves: {count(wanted, 'seed')})"
        )
    return (
        "the recipe of each setting (training, ensemble, evaluation as above), every pool case "
        f"fully annotated; {'; '.join(parts)}."
    )


def _data(datasets: Iterable[Opened]) -> list[tuple[str, str]]:
    return [("Dataset", opened.description) for opened in datasets]


def _each(configs: Iterable[TrajectoryConfig], say: Callable[[TrajectoryConfig], str]) -> str:
    """The distinct statements over all configs."""
    return "; ".join(dict.fromkeys(say(config) for config in configs)) or "—"


def _budget(config: TrajectoryConfig) -> str:
    query, whole = config.query, config.starting_budget.whole_cases
    cases = f" and {count(whole, 'whole case')}" if whole else ""
    return (
        f"{config.starting_patches - whole} patches{cases} at the start, {query.patches} a query, "
        f"{count(query.loops, 'loop')} ({count(query.loops - 1, 'query', 'queries')}), patches of "
        f"{query.patch_size_text} voxels"
    )


def _training(config: TrajectoryConfig) -> str:
    training = config.training
    batch = {False: "", True: " of a batch", "plan": " as nnU-Net plans it"}[training.batch_dice]
    return (
        f"preset {training.preset}: {count(training.epochs, 'epoch')} of "
        f"{count(training.iterations_per_epoch, 'iteration')}, batch {training.batch_size}, "
        f"{training.optimizer}, {'warm' if training.warm_start else 'cold'} start, "
        f"precision {training.precision}, "
        f"Dice loss{batch} over {training.dice_over} classes{_beside_labels(training)}"
    )


def _beside_labels(training: TrainingConfig) -> str:
    """What networks learn from besides annotated patches."""
    told = {"pretrained by": training.pretraining, "semi-supervised by": training.semi_supervised}
    return "".join(
        f", {how} {option.kind}" for how, option in told.items() if option.kind != NONE.kind
    )


def _inference(config: TrajectoryConfig) -> str:
    def on(tta: bool) -> str:
        return "with" if tta else "without"

    even = "" if config.inference.gaussian else " and with windows weighted evenly"
    return (
        f"{_ensemble(config)}; queries {on(config.inference.tta)} TTA{even}, "
        f"evaluation {on(config.evaluation.tta)} TTA"
    )


def _dice(config: TrajectoryConfig) -> str:
    where = {
        "resampled": "on the resampled grid, against resampled labels (evaluation.grid: resampled)",
        "original": "on the grid of the source, before crop and resampling (evaluation.grid: "
        "original)",
    }
    return (
        f"{where[config.evaluation.grid]}; mean over classes that validation cases have, of the "
        "mean over cases that have the class or were predicted to"
    )


def _ensemble(config: TrajectoryConfig) -> str:
    training = config.training
    if training.ensemble == "snapshots":
        return f"{count(training.members, 'snapshot')} of one training on all annotated cases"
    members = count(training.members, "member")
    if training.ensemble == "seeds":
        return f"{members} on all annotated cases"
    return f"{members} over {count(training.folds, 'fold')}"


def _seeds(study: Study) -> str:
    groups = study.done.groupby(["setting", "strategy"])["seed"]
    each = {tuple(sorted(seeds.unique().tolist())) for _, seeds in groups}
    if not each:
        return "No trajectory is finished."
    every = ", ".join(map(str, sorted(set().union(*each))))
    same = "the same for every strategy" if len(each) == 1 else "NOT the same for every strategy"
    return f"{every}; {same}; only common seeds are compared, pair by pair."


def _start(study: Study, configs: Iterable[TrajectoryConfig]) -> str:
    names = dict.fromkeys(config.starting_budget.strategy.shown for config in configs)
    hashes = study.table.groupby(["setting", "seed"])["start_hash"].nunique()
    if hashes.empty:
        return ", ".join(names)
    agree = "agree" if (hashes == 1).all() else "DIFFER: the comparison is not paired"
    return f"{', '.join(names)}; start_hash of all strategies of a setting and seed: {agree}."


def _oracle(study: Study) -> str:
    users = [look.strategy for look in study.looks if look.oracle]
    return f"{', '.join(users)} (marked †)" if users else "No strategy uses it to place patches."


def _compute(done: pd.DataFrame) -> str:
    phases = ["train_seconds", "evaluate_seconds", "query_seconds"]
    hours = float(done[phases].to_numpy().sum()) / 3600
    taken_here = done[~taken_over(done)]
    stored = int(taken_here["cached_members"].sum())
    taken = count(stored, "member")
    text = f"{hours:.2f} h of wall-clock time over all workers; {taken} taken from store."
    text += taken_over_text(done) + pretrained_text(done)
    first = taken_here[taken_here["loop"] == 0].groupby(["setting", "seed"])["train_seconds"].sum()
    apart = int((first == 0).sum())
    # A sweep trains loop 0 before its trajectories, in whose records it therefore took no time.
    return text + (
        f" Not in it: loop 0 of {count(apart, 'setting and seed', 'settings and seeds')}, trained "
        "and evaluated once for all strategies before their trajectories began."
        if apart
        else ""
    )


def _interruptions(study: Study) -> str:
    """What went wrong on the way; none of it changes a number."""
    found = Counts.of(one for run in study.runs for one in read_mishaps(run.path))
    if not found.lost + found.errors:
        return "None: no worker or machine was lost, and no error raised."
    return f"{found}; finished loops stayed, and the others were made again."


def _hardware(study: Study) -> str:
    records = [record for t in study.trajectories for record in t.records]
    kinds = dict.fromkeys(map(_hardware_of, records))
    return "; ".join(kinds) or "—"


def _code(study: Study) -> str:
    """Which alsweep made the loops, and with which numerics; the page may be another's."""
    told = study.table[["version", "numerics"]].itertuples(index=False, name=None)
    loops = Counter(_made_by(version, numerics) for version, numerics in told)
    made = "; ".join(f"{by}: {count(number, 'loop')}" for by, number in loops.items())
    references = [record for records in study.references.values() for record in records]
    others = dict.fromkeys(_made_by(r.version, r.numerics) for r in references)
    full = f" Full-data references: {'; '.join(others)}." if others else ""
    return f"{made or 'no loop yet'}.{full}{_mixed(study)} This page: alsweep {__version__}."


def _mixed(study: Study) -> str:
    """Say where equal configs give other numbers, or where that is not known."""
    known, told = known_numerics(study)
    if len(known) > 1:
        return " Numerics are MIXED: equal configs give other numbers."
    return " Whether all have the same numerics is not recorded." if known and not told else ""


def _made_by(version: str | None, numerics: int | None) -> str:
    if pd.isna(version):
        return "an alsweep that did not tell its version in records yet"
    return f"alsweep {version}, numerics {'untold' if pd.isna(numerics) else int(numerics)}"


def _hardware_of(record: LoopRecord) -> str:
    text = f"{record.device}, {record.precision}, {count(record.threads, 'thread')} a trajectory"
    if record.training_threads in (None, record.threads):
        return text
    return f"{text}, {record.training_threads} for each member in training"


SECTION = Section(id="checklist", title="Reporting checklist", place=100, blocks=_blocks)
